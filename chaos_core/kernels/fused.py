"""The whole training step in one native call: windows, forward, loss, backward, clipping, optimiser.

A training step of a small cell is a million multiplications, a tenth of a millisecond; as single torch operations it takes a
hundred times as long, nearly all of it between the operations. Twin: `chaos_core.scan` with autograd and torch.optim.
"""

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from chaos_core.cells.base import Cell
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.native.loader import library, status
from chaos_core.observation import IdentityObservation, Observation
from chaos_core.typing import Floats, Ints, NumpyParams

__all__ = ["NativeStep", "supports"]

OPTIMISERS = {"adam": 1, "adamw": 2, "radam": 3}
NO_UPDATE = 0
DTYPES = {"float32": "f32", "float64": "f64"}
CACHE_LINE = 64


class _Arguments(ctypes.Structure):
    """StepArguments of step.hpp, field by field; the sizes are compared before the first call."""

    _fields_ = [
        *[(name, ctypes.c_int64) for name in ("rows", "batch", "steps", "latent", "hidden", "observed")],
        *[(name, ctypes.c_int64) for name in ("optimiser", "iteration")],
        *[
            (name, ctypes.c_double)
            for name in ("learning_rate", "beta1", "beta2", "epsilon", "weight_decay", "clip_norm", "loss", "gradient_norm")
        ],
        *[
            (name, ctypes.c_void_p)
            for name in ("series", "starts", "alpha", "parameters", "gradient", "first_moment", "second_moment", "work")
        ],
    ]


def supports(cell: Cell, observation: Observation, dtype: str = "float32") -> str | None:
    """Why the native step cannot train this, or None where it can.

    Any forcing can go: every mask alpha (T, M), also on hidden units, is computed. Losses other than the mean squared error over
    all channels and data with missing values are the caller's to exclude.

    Args:
        cell: only the clipped shallow PLRNN has native code.
        observation: only the identity; the pseudo-inverse of a trained matrix is left to torch.
        dtype: "float32" or "float64".

    Returns:
        One sentence, or None.
    """
    if library() is None:
        return status().reason
    if not isinstance(cell, ClippedShPLRNN):
        return f"There is no native training step for the cell {type(cell).__name__}."
    if not isinstance(observation, IdentityObservation):
        return "The native training step reads the channels off the first latent units, without a matrix in between."
    if dtype not in DTYPES:
        return f"The native training step knows {' and '.join(DTYPES)}, not {dtype}."
    return None


class NativeStep:
    """Training of one clipped shallow PLRNN on one series; parameters and optimiser state are plain arrays.

    With equal arrays, iteration, library level, batches and masks the numbers are the same to the last bit, wherever the arrays
    lie: a run may be stopped, stored and resumed by copying `flat`, `first_moment`, `second_moment` and `iteration`.

    Args:
        cell: the equations; `supports(...)` must be None.
        x: (rows, N) the series, float32 or float64, which decides the type of all else. Kept, not copied, if C-contiguous.
        params: start values by name; copied.
        optimiser: "adam", "adamw" or "radam", with the meaning of torch.optim.
        betas: decay of the two moments; the default is that of the papers and of torch.
        eps: beside the root of the second moment; same default.
        weight_decay: added to the gradient (adam, radam) or applied to the parameters (adamw); 0 since none of the forcing papers'
            main results uses it.
        clip_norm: largest norm of the gradient over all parameters; None or <= 0 leaves it alone.

    Raises:
        ValueError: the kernel does not support this, or a shape does not fit.

    Source: Hess, Monfared, Brenner, Durstewitz (2023), arXiv:2306.04406 (cell, loss and forcing); Kingma and Ba (2015),
        arXiv:1412.6980; Loshchilov and Hutter (2019), arXiv:1711.05101; Liu et al. (2020), arXiv:1908.03265 (optimisers).
    """

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
    ) -> None:
        refusal = supports(cell, IdentityObservation(), str(x.dtype))
        active = library()
        if refusal is not None or active is None or not isinstance(cell, ClippedShPLRNN):
            raise ValueError(refusal)
        if x.ndim != 2 or not 1 <= x.shape[1] <= cell.latent:
            raise ValueError(f"x must be (rows, N) with N from 1 to {cell.latent}, got {x.shape}.")
        if optimiser not in OPTIMISERS:
            raise ValueError(f"optimiser must be one of {', '.join(OPTIMISERS)}, got {optimiser}.")
        suffix = DTYPES[str(x.dtype)]
        self._call = active.handle[f"chaos_clipped_shplrnn_step_{suffix}"]
        self._work_elements = active.handle[f"chaos_clipped_shplrnn_work_{suffix}"]
        self._call.restype = self._work_elements.restype = ctypes.c_int64
        if active.handle.chaos_step_bytes() != ctypes.sizeof(_Arguments):
            raise ValueError("step.hpp and fused.py disagree about the arguments of a step.")

        self._cell = cell
        self._x = np.ascontiguousarray(x)
        self._optimiser = OPTIMISERS[optimiser]
        self.flat = np.concatenate([self._shaped(params, name).ravel() for name in cell.parameters()])
        self.first_moment = np.zeros_like(self.flat)
        self.second_moment = np.zeros_like(self.flat)
        self._gradient = np.zeros_like(self.flat)
        self.iteration = 0
        self._arguments = _Arguments(rows=len(x), latent=cell.latent, hidden=cell.hidden, observed=x.shape[1])
        self._arguments.beta1, self._arguments.beta2 = betas
        self._arguments.epsilon, self._arguments.weight_decay = eps, weight_decay
        self._arguments.clip_norm = clip_norm or 0.0
        self._point(series=self._x, gradient=self._gradient)
        self._starts: Ints = np.zeros(0, np.int64)
        self._alpha: npt.NDArray[Any] = np.zeros((0, cell.latent), self._x.dtype)
        self._work: npt.NDArray[Any] = self._x[:0]

    @property
    def parameters(self) -> dict[str, npt.NDArray[Any]]:
        """The parameters by name, as views into `flat`."""
        return self._named(self.flat)

    def update(self, starts: Ints, alpha: Floats, learning_rate: float) -> tuple[float, float]:
        """One training step on a batch of windows.

        loss = mean over batch, time and channels of (z_{t+1}[:N] - x_{t+1})^2; windows have T + 1 rows and start on their first
        row, z_0 = (x_0, 0).

        Args:
            starts: (B,) first rows of the windows.
            alpha: (T, M) mask of the forcing, row t applied before step t, row 0 ignored; (T,) forces the channels only.
            learning_rate: of this step.

        Returns:
            The loss before the update and the norm of the gradient before clipping. Not finite where the run diverged: the
            parameters are then spoilt as well.

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
            starts, alpha: as for `update`.

        Returns:
            Loss and gradient (copies).
        """
        loss, _ = self._run(starts, alpha, NO_UPDATE)
        return loss, self._named(self._gradient.copy())

    def _run(self, starts: Ints, alpha: Floats, optimiser: int) -> tuple[float, float]:
        arguments = self._arguments
        if starts.shape != self._starts.shape or len(alpha) != len(self._alpha):
            self._fit(starts, alpha)
        self._starts[:] = starts
        if alpha.ndim == 1:
            self._alpha[:, : arguments.observed] = alpha[:, None]
            self._alpha[:, arguments.observed :] = 0.0
        else:
            self._alpha[:] = alpha
        arguments.optimiser = optimiser
        # Each time anew: whoever resumes a run may put other arrays in the place of these.
        self._point(parameters=self.flat, first_moment=self.first_moment, second_moment=self.second_moment)
        if self._call(ctypes.byref(arguments)):
            raise IndexError(f"windows of {len(alpha) + 1} rows from {starts.min()} to {starts.max()} leave {len(self._x)} rows.")
        return arguments.loss, arguments.gradient_norm

    def _fit(self, starts: Ints, alpha: Floats) -> None:
        """Buffers for another batch size or window length."""
        if starts.ndim != 1 or len(starts) == 0 or len(alpha) == 0:
            raise ValueError(f"starts must be (B,) and alpha (T, M) or (T,), both not empty, got {starts.shape} and {alpha.shape}.")
        self._starts = np.zeros(len(starts), np.int64)
        self._alpha = np.zeros((len(alpha), self._cell.latent), self._x.dtype)
        self._arguments.batch, self._arguments.steps = len(starts), len(alpha)
        needed = self._work_elements(ctypes.byref(self._arguments)) + CACHE_LINE // self._x.itemsize
        work = np.zeros(needed, self._x.dtype)
        self._work = work[(-work.ctypes.data % CACHE_LINE) // work.itemsize :]
        self._point(starts=self._starts, alpha=self._alpha, work=self._work)

    def _point(self, **arrays: npt.NDArray[Any]) -> None:
        for name, array in arrays.items():
            setattr(self._arguments, name, array.ctypes.data)

    def _shaped(self, params: NumpyParams, name: str) -> npt.NDArray[Any]:
        array = np.asarray(params[name], self._x.dtype)
        if array.shape != self._cell.parameters()[name].shape:
            raise ValueError(f"parameter {name} must be {self._cell.parameters()[name].shape}, got {array.shape}.")
        return array

    def _named(self, flat: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        named, start = {}, 0
        for name, param in self._cell.parameters().items():
            named[name] = flat[start : start + param.size].reshape(param.shape)
            start += param.size
        return named
