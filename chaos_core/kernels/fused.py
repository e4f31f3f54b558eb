"""The whole training step in one native call: windows, forward, loss, backward, clipping, optimiser.

A training step of a small cell is a million multiplications, a tenth of a millisecond; as single torch operations it
takes a hundred times as long, nearly all of it between the operations. Twin: `chaos_core.scan` with autograd and
torch.optim.
"""

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from chaos_core.cells.base import Cell
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.native.loader import Library, library, status
from chaos_core.observation import IdentityObservation, Observation
from chaos_core.typing import Floats, Ints, NumpyParams

__all__ = ["NativeStep", "supports"]

OPTIMISERS = {"adam": 1, "adamw": 2, "radam": 3}
NO_UPDATE = 0
DTYPES = {"float32": "f32", "float64": "f64"}
CACHE_LINE_BYTES = 64

INTEGERS = ("rows", "batch", "steps", "latent", "hidden", "observed", "optimiser", "iteration")
REALS = ("learning_rate", "beta1", "beta2", "epsilon", "weight_decay", "clip_norm", "loss", "gradient_norm")
ADDRESSES = ("series", "starts", "alpha", "parameters", "gradient", "first_moment", "second_moment", "work")


class _Arguments(ctypes.Structure):
    """StepArguments of step.hpp, field by field; the loader compares the sizes."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in INTEGERS),
        *((name, ctypes.c_double) for name in REALS),
        *((name, ctypes.c_void_p) for name in ADDRESSES),
    )


def supports(cell: Cell, observation: Observation, dtype: str = "float32") -> str | None:
    """Why the native step cannot train this, or None where it can.

    Any forcing can go: every mask alpha (T, M) is computed, also on hidden units. Losses other than the mean squared
    error over all channels, and windows with missing values, are the caller's to exclude.

    Args:
        cell: only the clipped shallow PLRNN has native code.
        observation: only the identity; the pseudo-inverse of a trained matrix is left to torch.
        dtype: "float32" or "float64"; the default is that of training.

    Returns:
        One sentence, or None.
    """
    if library() is None:
        return status().reason
    if not isinstance(cell, ClippedShPLRNN):
        return f"There is no native training step for the cell {type(cell).__name__}."
    if not isinstance(observation, IdentityObservation):
        return (
            f"The native training step reads the channels off the latent units, without {type(observation).__name__}."
        )
    if dtype not in DTYPES:
        return f"The native training step knows {' and '.join(DTYPES)}, not {dtype}."
    return None


class NativeStep:
    """Training of one clipped shallow PLRNN on one series; parameters and optimiser state are plain arrays.

    With equal arrays, iteration, library level, batches and masks the numbers are the same to the last bit: a run is
    stored by copying `flat`, `first_moment`, `second_moment` and `iteration`, and resumed by writing them back.

    Args:
        cell: the equations; `supports(...)` must be None.
        x: (rows, N) the series, float32 or float64, which decides the type of all else. Not copied if C-contiguous.
        params: start values by name; copied.
        optimiser: "adam", "adamw" or "radam", with the meaning of torch.optim.
        betas: decay of the two moments; the default is that of the papers and of torch.
        eps: beside the root of the second moment; the same default.
        weight_decay: added to the gradient (adam, radam) or applied to the parameters (adamw). 0, as in the forcing
            papers, which regularise otherwise.
        clip_norm: largest norm of the gradient over all parameters; None or <= 0 leaves it alone.
        kernels: the library; by default the best one for this CPU. Tests name others.

    Raises:
        ValueError: the kernel does not support this, or a shape does not fit.

    Source: Hess, Monfared, Brenner, Durstewitz (2023), arXiv:2306.04406 (cell, loss, forcing); Kingma, Ba (2015),
        arXiv:1412.6980; Loshchilov, Hutter (2019), arXiv:1711.05101; Liu et al. (2020), arXiv:1908.03265 (optimisers).
    """

    iteration: int
    """Updates done; enters the bias correction of the optimisers."""

    def __init__(
        self,
        cell: Cell,
        x: npt.NDArray[Any],
        params: NumpyParams,
        *,
        optimiser: str = "adam",
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        kernels: Library | None = None,
    ) -> None:
        active = kernels or library()
        refusal = supports(cell, IdentityObservation(), str(x.dtype))
        if active is None or refusal is not None or not isinstance(cell, ClippedShPLRNN):
            raise ValueError(refusal)
        if x.ndim != 2 or not 1 <= x.shape[1] <= cell.latent:
            raise ValueError(f"x must be (rows, N) with N from 1 to {cell.latent}, got {x.shape}")
        if optimiser not in OPTIMISERS:
            raise ValueError(f"optimiser must be one of {', '.join(OPTIMISERS)}, got {optimiser}")
        suffix = DTYPES[str(x.dtype)]
        self._train = active.function(f"chaos_clipped_shplrnn_step_{suffix}", _Arguments, "chaos_step_bytes")
        self._work_elements = active.function(f"chaos_clipped_shplrnn_work_{suffix}", _Arguments, "chaos_step_bytes")

        self.iteration = 0
        self._cell = cell
        self._x = np.ascontiguousarray(x)
        self._optimiser = OPTIMISERS[optimiser]
        self._flat = np.concatenate([self._start_value(params, name) for name in cell.parameters()])
        self._first_moment, self._second_moment, self._gradient = (np.zeros_like(self._flat) for _ in range(3))
        self._starts: Ints = np.zeros(0, np.int64)
        self._alpha: npt.NDArray[Any] = np.zeros((0, cell.latent), self._x.dtype)
        self._work: npt.NDArray[Any] = np.zeros(0, self._x.dtype)
        self._arguments = _Arguments(rows=len(x), latent=cell.latent, hidden=cell.hidden, observed=x.shape[1])
        self._arguments.beta1, self._arguments.beta2 = betas
        self._arguments.epsilon, self._arguments.weight_decay = eps, weight_decay
        self._arguments.clip_norm = clip_norm or 0.0
        self._point(series=self._x, parameters=self._flat, gradient=self._gradient)
        self._point(first_moment=self._first_moment, second_moment=self._second_moment)

    @property
    def flat(self) -> npt.NDArray[Any]:
        """All parameters in the order of `cell.parameters()`; always the same array: write into it to resume."""
        return self._flat

    @property
    def first_moment(self) -> npt.NDArray[Any]:
        """Running mean of the gradient, in the order of `flat`; always the same array."""
        return self._first_moment

    @property
    def second_moment(self) -> npt.NDArray[Any]:
        """Running mean of the squared gradient, in the order of `flat`; always the same array."""
        return self._second_moment

    @property
    def parameters(self) -> dict[str, npt.NDArray[Any]]:
        """The parameters by name, as views into `flat`."""
        return self._named(self._flat)

    def update(self, starts: Ints, alpha: Floats, learning_rate: float) -> tuple[float, float]:
        """One training step on a batch of windows of T + 1 rows.

        loss = mean over batch, time and channels of (z_{t+1}[:N] - x_{t+1})^2, t = 0 .. T - 1, with z_0 = (x_0, 0).

        Args:
            starts: (B,) first rows of the windows.
            alpha: (T, M) mask of the forcing, row t applied before step t, row 0 ignored since the window starts on
                the data; d_t = (x_t, 0). (T,) forces the channels only.
            learning_rate: of this step.

        Returns:
            The loss before the update and the norm of the gradient before clipping. Where the run diverged they are
            not finite, and the parameters are spoilt from then on.

        Raises:
            IndexError: a window does not lie inside the series.
            ValueError: a shape does not fit.
        """
        self._arguments.learning_rate = learning_rate
        self._arguments.iteration = self.iteration + 1
        outcome = self._run(starts, alpha, self._optimiser)
        self.iteration += 1
        return outcome

    def loss_and_gradient(self, starts: Ints, alpha: Floats) -> tuple[float, dict[str, npt.NDArray[Any]]]:
        """The loss of a batch and its gradient by name, clipped where clipping is on; nothing is updated.

        Args:
            starts: as for `update`.
            alpha: as for `update`.

        Returns:
            The loss, and copies of the gradient's parts.
        """
        loss, _ = self._run(starts, alpha, NO_UPDATE)
        return loss, self._named(self._gradient.copy())

    def _run(self, starts: Ints, alpha: Floats, optimiser: int) -> tuple[float, float]:
        arguments = self._arguments
        if starts.shape != self._starts.shape or len(alpha) != len(self._alpha):
            self._fit(starts, alpha)
        self._starts[:] = starts
        if alpha.ndim == 1:
            self._alpha[:] = 0.0
            self._alpha[:, : self._x.shape[1]] = alpha[:, None]
        else:
            self._alpha[:] = alpha
        arguments.optimiser = optimiser
        if self._train(ctypes.byref(arguments)):
            rows = f"{starts.min()} to {starts.max()}, {len(alpha) + 1} rows long"
            raise IndexError(f"windows that start at {rows}, do not lie inside {len(self._x)} rows")
        return arguments.loss, arguments.gradient_norm

    def _fit(self, starts: Ints, alpha: Floats) -> None:
        """Buffers for another batch size or window length."""
        if starts.ndim != 1 or len(starts) == 0 or len(alpha) == 0:
            raise ValueError(f"starts must be (B,) and alpha (T, M), neither empty, got {starts.shape}, {alpha.shape}")
        self._starts = np.zeros(len(starts), np.int64)
        self._alpha = np.zeros((len(alpha), self._cell.latent), self._x.dtype)
        self._arguments.batch, self._arguments.steps = len(starts), len(alpha)
        elements = self._work_elements(ctypes.byref(self._arguments))
        work = np.zeros(elements + CACHE_LINE_BYTES // self._x.itemsize, self._x.dtype)
        self._work = work[(-work.ctypes.data % CACHE_LINE_BYTES) // work.itemsize :]
        self._point(starts=self._starts, alpha=self._alpha, work=self._work)

    def _point(self, **arrays: npt.NDArray[Any]) -> None:
        for name, array in arrays.items():
            setattr(self._arguments, name, array.ctypes.data)

    def _start_value(self, params: NumpyParams, name: str) -> npt.NDArray[Any]:
        array = np.asarray(params[name], self._x.dtype)
        shape = self._cell.parameters()[name].shape
        if array.shape != shape:
            raise ValueError(f"parameter {name} must be {shape}, got {array.shape}")
        return array.ravel()

    def _named(self, flat: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        named, start = {}, 0
        for name, param in self._cell.parameters().items():
            named[name] = flat[start : start + param.size].reshape(param.shape)
            start += param.size
        return named
