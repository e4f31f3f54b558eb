"""The whole training step in one native call: windows, forward, loss, backward, matching, clipping, optimiser.

A training step of a small cell is a million multiplications, a tenth of a millisecond; as single torch operations it
takes a hundred times as long, nearly all of it between the operations. Twin: `chaos_core.scan` with autograd and
torch.optim.
"""

import ctypes
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from chaos_core.cells.base import Cell
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.native.loader import Library, library
from chaos_core.observation import IdentityObservation
from chaos_core.refusal import step_refusal
from chaos_core.typing import Floats, Ints, NumpyParams

__all__ = ["Matching", "NativeStep"]

OPTIMISERS = {"adam": 1, "adamw": 2, "radam": 3}
NO_UPDATE = 0
SUFFIXES = {"float32": "f32", "float64": "f64"}
CACHE_LINE_BYTES = 64
POINT_OUTSIDE = 2

INTEGERS = ("rows", "batch", "steps", "latent", "hidden", "observed", "points", "matched", "optimiser", "iteration")
OPTIMISER_REALS = ("learning_rate", "beta1", "beta2", "epsilon", "weight_decay", "clip_norm")
REALS = (*OPTIMISER_REALS, "smoothing", "match_weight", "loss", "penalty", "gradient_norm")
INPUTS = ("series", "seen", "starts", "alpha", "match_points", "match_slopes", "match_rows")
ADDRESSES = (*INPUTS, "parameters", "gradient", "first_moment", "second_moment", "work")


class _Arguments(ctypes.Structure):
    """StepArguments of step.hpp, field by field; the loader compares the sizes."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in INTEGERS),
        *((name, ctypes.c_double) for name in REALS),
        *((name, ctypes.c_void_p) for name in ADDRESSES),
    )


@dataclass(frozen=True, eq=False)
class Matching:
    """Jacobians of the data's dynamics, towards which an update also pulls those of the cell.

    penalty = weight * mean_r ||J(points_r) - slopes_r||^2 / scale over the rows r of an update, in Frobenius norms, J
    being `cell.jacobian`. A cell can follow the data closely with slopes that are wrong, and its exponents are then
    wrong too; the slopes come from a smooth map fitted to the same data.

    Args:
        points: (R, M) states, in the units of the training series.
        slopes: (R, M, M) what the Jacobian should be there, in the same units: of the map over one row.
        weight: 0.01 to 0.1 brought the error of J - I from about 1 to 0.15 with attractors as good or better; 1 hurts.

    Raises:
        ValueError: a shape does not fit, a number is not finite, all slopes are the identity, or the weight is not
            positive.

    Source: derivatives as targets, Czarnecki, Osindero, Jaderberg, Swirszcz, Pascanu (2017), Sobolev training for
        neural networks, arXiv:1706.04859.
    Differs: the target slopes are those of a fitted map; the unit of the error, ||J - I||, takes out the sampling step.
        With M = N it is the loss "jacobian_matching".
    """

    points: npt.NDArray[Any]
    slopes: npt.NDArray[Any]
    weight: float

    def __post_init__(self) -> None:
        shape = self.points.shape
        if len(shape) != 2 or shape[0] == 0 or self.slopes.shape != (*shape, *shape[1:]):
            raise ValueError(f"points must be (R, M) and slopes (R, M, M), got {shape} and {self.slopes.shape}")
        if not (np.isfinite(self.points).all() and np.isfinite(self.slopes).all() and 0 < self.weight < np.inf):
            raise ValueError("points and slopes must be finite, the weight positive")
        if self.scale == 0:
            raise ValueError("all slopes are the identity: their distance has no scale")

    @cached_property
    def scale(self) -> float:
        """Mean over all R of ||slopes_r - I||^2."""
        return float(((self.slopes - np.eye(self.slopes.shape[1])) ** 2).sum((1, 2)).mean())


class NativeStep:
    """Training of one clipped shallow PLRNN on one series; parameters and optimiser state are plain arrays.

    With equal arrays, iteration, library level, batches and masks the numbers are the same to the last bit: a run is
    stored by copying `flat`, `first_moment`, `second_moment` and `iteration`, and resumed by writing them back.

    Args:
        cell: the equations; `step_refusal(...)` must be None. Hidden units start at zero.
        x: (rows, N) the series, float32 or float64, which decides the type of all else. Not copied if C-contiguous.
            NaN is a missing entry if `seen` is given, else it spoils the update like any number that is not finite.
        params: start values by name; copied.
        seen: (rows, N) what may force the state: the series where it was measured, bridged entries where there is a
            bridge, NaN where nothing is known (such an entry is never forced; a window that starts there starts at
            zero). For a series without NaN it changes nothing.
        matching: target Jacobians; None leaves the penalty out.
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
    Differs: missing entries and matching are ours.
    """

    iteration: int
    """Updates done; enters the bias correction of the optimisers."""

    penalty: float
    """What matching added to the loss of the last update, its weight included; 0 without."""

    def __init__(
        self,
        cell: Cell,
        x: npt.NDArray[Any],
        params: NumpyParams,
        *,
        seen: npt.NDArray[Any] | None = None,
        matching: Matching | None = None,
        optimiser: str = "adam",
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        kernels: Library | None = None,
    ) -> None:
        active = kernels or library()
        refusal = step_refusal(cell, IdentityObservation(hidden_start="zeros"), str(x.dtype))
        if active is None or refusal is not None or not isinstance(cell, ClippedShPLRNN):
            raise ValueError(refusal)
        if "L" in params:
            raise ValueError("params hold L, a trained start of hidden units, which the native step does not know")
        if x.ndim != 2 or not 1 <= x.shape[1] <= cell.latent:
            raise ValueError(f"x must be (rows, N) with N from 1 to {cell.latent}, got {x.shape}")
        if optimiser not in OPTIMISERS:
            raise ValueError(f"optimiser must be one of {', '.join(OPTIMISERS)}, got {optimiser}")
        suffix = SUFFIXES[str(x.dtype)]
        self._train = active.function(f"chaos_clipped_shplrnn_step_{suffix}", _Arguments, "chaos_step_bytes")
        self._work_elements = active.function(f"chaos_clipped_shplrnn_work_{suffix}", _Arguments, "chaos_step_bytes")

        self.iteration, self.penalty = 0, 0.0
        self._cell = cell
        self._x = np.ascontiguousarray(x)
        self._optimiser = OPTIMISERS[optimiser]
        self._flat = np.concatenate([self._start_value(params, name) for name in cell.parameters()])
        self._first_moment, self._second_moment, self._gradient = (np.zeros_like(self._flat) for _ in range(3))
        self._starts: Ints = np.zeros(0, np.int64)
        self._rows: Ints = np.zeros(0, np.int64)
        self._alpha: npt.NDArray[Any] = np.zeros((0, cell.latent), self._x.dtype)
        self._work: npt.NDArray[Any] = np.zeros(0, self._x.dtype)
        self._arguments = _Arguments(rows=len(x), latent=cell.latent, hidden=cell.hidden, observed=x.shape[1])
        self._arguments.beta1, self._arguments.beta2 = betas
        self._arguments.epsilon, self._arguments.weight_decay = eps, weight_decay
        self._arguments.clip_norm, self._arguments.smoothing = clip_norm or 0.0, cell.smoothing
        self._point(series=self._x, parameters=self._flat, gradient=self._gradient)
        self._point(first_moment=self._first_moment, second_moment=self._second_moment)
        self._allow_gaps(seen)
        self._match(matching)

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

    def update(
        self, starts: Ints, alpha: Floats, learning_rate: float, rows: Ints | None = None
    ) -> tuple[float, float]:
        """One training step on a batch of windows of T + 1 rows.

        loss = mean over batch, time and channels of (z_{t+1}[:N] - x_{t+1})^2, t = 0 .. T - 1, with z_0 = (x_0, 0).
        A missing entry of x is not forced, whatever alpha, and is left out of the mean; if no target is there, loss
        and gradient are 0. The gradient of the matching penalty is added before clipping; `penalty` tells its value.

        Args:
            starts: (B,) first rows of the windows.
            alpha: (T, M) mask of the forcing, row t applied before step t, row 0 ignored since the window starts on
                the data; d_t = (x_t, 0). (T,) forces the channels only.
            learning_rate: of this step.
            rows: (P,) which points of the matching this step looks at; None or none leaves the penalty out.

        Returns:
            The loss before the update and the norm of the gradient before clipping. Where the run diverged they are
            not finite, and the parameters are spoilt from then on.

        Raises:
            IndexError: a window does not lie inside the series, or a row not inside the points.
            ValueError: a shape does not fit.
        """
        self._arguments.learning_rate = learning_rate
        self._arguments.iteration = self.iteration + 1
        outcome = self._run(starts, alpha, rows, self._optimiser)
        self.iteration += 1
        return outcome

    def loss_and_gradient(
        self, starts: Ints, alpha: Floats, rows: Ints | None = None
    ) -> tuple[float, dict[str, npt.NDArray[Any]]]:
        """The loss of a batch and the gradient by name, clipped where clipping is on; no parameter is updated.

        Args:
            starts: as for `update`.
            alpha: as for `update`.
            rows: as for `update`.

        Returns:
            The loss, and copies of the gradient's parts.
        """
        loss, _ = self._run(starts, alpha, rows, NO_UPDATE)
        return loss, self._named(self._gradient.copy())

    def _run(self, starts: Ints, alpha: Floats, rows: Ints | None, optimiser: int) -> tuple[float, float]:
        arguments = self._arguments
        matched = 0 if rows is None else len(rows)
        if starts.shape != self._starts.shape or len(alpha) != len(self._alpha) or matched != len(self._rows):
            self._fit(starts, alpha, rows)
        self._starts[:] = starts
        if rows is not None:
            self._rows[:] = rows
        if alpha.ndim == 1:
            self._alpha[:] = 0.0
            self._alpha[:, : self._x.shape[1]] = alpha[:, None]
        else:
            self._alpha[:] = alpha
        arguments.optimiser = optimiser
        refused = self._train(ctypes.byref(arguments))
        if refused == POINT_OUTSIDE:
            raise IndexError(
                f"rows {self._rows.min()} to {self._rows.max()} are not all among {arguments.points} points"
            )
        if refused:
            span = f"{starts.min()} to {starts.max()}, {len(alpha) + 1} rows long"
            raise IndexError(f"windows that start at {span}, do not lie inside {len(self._x)} rows")
        self.penalty = arguments.penalty
        return arguments.loss, arguments.gradient_norm

    def _fit(self, starts: Ints, alpha: Floats, rows: Ints | None) -> None:
        """Buffers for another batch size, window length or number of matched points."""
        if starts.ndim != 1 or len(starts) == 0 or len(alpha) == 0:
            raise ValueError(f"starts must be (B,) and alpha (T, M), neither empty, got {starts.shape}, {alpha.shape}")
        if rows is not None and (rows.ndim != 1 or (len(rows) and not self._arguments.points)):
            raise ValueError(f"rows must be (P,), of a matching that was given, got {rows.shape}")
        self._starts = np.zeros(len(starts), np.int64)
        self._rows = np.zeros(0 if rows is None else len(rows), np.int64)
        self._alpha = np.zeros((len(alpha), self._cell.latent), self._x.dtype)
        self._arguments.batch, self._arguments.steps = len(starts), len(alpha)
        self._arguments.matched = len(self._rows)
        elements = self._work_elements(ctypes.byref(self._arguments))
        work = np.zeros(elements + CACHE_LINE_BYTES // self._x.itemsize, self._x.dtype)
        self._work = work[(-work.ctypes.data % CACHE_LINE_BYTES) // work.itemsize :]
        self._point(starts=self._starts, alpha=self._alpha, match_rows=self._rows, work=self._work)

    def _allow_gaps(self, seen: npt.NDArray[Any] | None) -> None:
        """Hands over what may force the state where entries are missing; else the step looks for no gaps."""
        if seen is None:
            return
        if seen.shape != self._x.shape:
            raise ValueError(f"seen must be {self._x.shape}, got {seen.shape}")
        if np.isnan(self._x).any():
            self._seen = np.ascontiguousarray(seen, self._x.dtype)
            self._point(seen=self._seen)

    def _match(self, matching: Matching | None) -> None:
        """Hands over the points and slopes."""
        if matching is None:
            return
        if matching.points.shape[1] != self._cell.latent:
            raise ValueError(f"points must be (R, {self._cell.latent}), got {matching.points.shape}")
        self._points = np.ascontiguousarray(matching.points, self._x.dtype)
        self._slopes = np.ascontiguousarray(matching.slopes, self._x.dtype)
        self._arguments.points = len(self._points)
        self._arguments.match_weight = matching.weight / matching.scale
        self._point(match_points=self._points, match_slopes=self._slopes)

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
