"""Whole training steps in native calls: windows, forward, loss, backward, terms, clipping, optimiser.

A training step of a small cell is a million multiplications, a tenth of a millisecond; as single torch operations it
takes a hundred times as long, nearly all of it between the operations. Twin: `chaos_core.scan` with autograd and
torch.optim. Nothing here loads torch.
"""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from chaos_core.native.arguments import FORMS, OPTIMISERS, READINGS, LimitArguments, PullArguments, StepArguments
from chaos_core.native.equations import Equations, Pull
from chaos_core.native.loader import Library, library, status
from chaos_core.native.matching import Matching

__all__ = ["NativeStep", "has_step"]

Array: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]

NO_UPDATE = 0
SUFFIXES = {"float32": "f32", "float64": "f64"}
CACHE_LINE_BYTES = 64
POINT_OUTSIDE, UNMATCHED = 2, 3
PLAIN = ("latent", "state", "inner", "observed", "inputs", "smoothing")


def has_step(kind: str) -> bool:
    """Whether the library of this process has a training step for a kind of cell."""
    active = library()
    return active is not None and active.has(f"chaos_{kind}_step_f32")


class NativeStep:
    """Training of one cell on one series; parameters and optimiser state are plain arrays.

    With equal arrays, iteration, library level, batches and masks the numbers are the same to the last bit, however
    the updates are cut into calls: a run is stored by copying `flat`, `first_moment`, `second_moment` and `iteration`,
    and resumed by writing them back. Calls of several objects may run in threads side by side.

    Args:
        equations: of cell and observation.
        x: (rows, N) the series, float32 or float64, which decides the type of all else. Not copied if C-contiguous.
            NaN is a missing entry if `seen` is given, else it spoils the update like any number that is not finite.
        params: start values by name; copied.
        seen: (rows, N) what may force the state: the series where it was measured, bridged entries where there is a
            bridge, NaN where nothing is known (there the state is forced by what the cell itself predicts; a window
            that starts there starts at zero). For a series without NaN it changes nothing.
        u: (rows, K) external inputs; row t + 1 drives step t.
        matching: target Jacobians; None leaves the penalty out.
        pulls: terms of the parameters alone.
        optimiser: "adam", "adamw" or "radam", with the meaning of torch.optim.
        betas: decay of the two moments; the default is that of the papers and of torch.
        eps: beside the root of the second moment; the same default.
        weight_decay: added to the gradient (adam, radam) or applied to the parameters (adamw). 0, as in the forcing
            papers, which regularise otherwise.
        clip_norm: largest norm of the gradient over all parameters; None or <= 0 leaves it alone.
        kernels: the library; by default the best one for this CPU. Tests name others.

    Raises:
        ValueError: there is no library, it does not know the cell, or a shape does not fit.

    Source: Hess, Monfared, Brenner, Durstewitz (2023), arXiv:2306.04406 (loss, forcing); Kingma, Ba (2015),
        arXiv:1412.6980; Loshchilov, Hutter (2019), arXiv:1711.05101; Liu et al. (2020), arXiv:1908.03265 (optimisers).
    Differs: missing entries and matching are ours.
    """

    iteration: int
    """Updates done; enters the bias correction of the optimisers."""

    penalty: float
    """What matching and pulls added to the loss of the last update, weights included; 0 without."""

    def __init__(
        self,
        equations: Equations,
        x: Array,
        params: Mapping[str, Array],
        *,
        seen: Array | None = None,
        u: Array | None = None,
        matching: Matching | None = None,
        pulls: Sequence[Pull] = (),
        optimiser: str = "adam",
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        kernels: Library | None = None,
    ) -> None:
        suffix = SUFFIXES.get(str(x.dtype))
        active = kernels or library()
        if active is None or suffix is None:
            raise ValueError(status().reason if active is None else f"x must be float32 or float64, got {x.dtype}")
        if x.ndim != 2 or x.shape[1] != equations.observed:
            raise ValueError(f"x must be (rows, {equations.observed}), got {x.shape}")
        if optimiser not in OPTIMISERS:
            raise ValueError(f"optimiser must be one of {', '.join(OPTIMISERS)}, got {optimiser}")
        names = (f"chaos_{equations.kind}_{what}_{suffix}" for what in ("step", "work"))
        self._train, self._work_elements = (active.function(name, StepArguments, "chaos_step_bytes") for name in names)

        self.iteration, self.penalty = 0, 0.0
        self._equations, self._optimiser = equations, OPTIMISERS[optimiser]
        self._arguments = StepArguments(rows=len(x), beta1=betas[0], beta2=betas[1], epsilon=eps)
        self._arguments.weight_decay, self._arguments.clip_norm = weight_decay, clip_norm or 0.0
        self._arguments.reading, self._arguments.centred = READINGS[equations.reading], int(equations.centred)
        for name in PLAIN:
            setattr(self._arguments, name, getattr(equations, name))
        self._held: dict[str, Array] = {}
        self._fitted: tuple[int, int, int] | None = None
        self._hold(series=np.ascontiguousarray(x))
        self._flat = np.concatenate([self._start_value(params, name) for name in equations.shapes])
        self._hold(parameters=self._flat)
        self._hold(**{name: np.zeros_like(self._flat) for name in ("gradient", "first_moment", "second_moment")})
        self._allow_gaps(seen)
        self._drive(u)
        self._match(matching)
        self._pull(pulls)

    @property
    def flat(self) -> Array:
        """All parameters in the order of `Equations.shapes`; always the same array: write into it to resume."""
        return self._flat

    @property
    def first_moment(self) -> Array:
        """Running mean of the gradient, in the order of `flat`; always the same array."""
        return self._held["first_moment"]

    @property
    def second_moment(self) -> Array:
        """Running mean of the squared gradient, in the order of `flat`; always the same array."""
        return self._held["second_moment"]

    @property
    def parameters(self) -> dict[str, Array]:
        """The parameters by name, as views into `flat`."""
        return self._equations.named(self._flat)

    def update(
        self, starts: Ints, alpha: Floats, learning_rate: float, rows: Ints | None = None
    ) -> tuple[float, float]:
        """One training step on a batch of windows of T + 1 rows.

        loss = mean over batch, time and channels of (G z_{t+1} + g - x_{t+1})^2, t = 0 .. T - 1. A missing entry of x
        is left out of the mean; if no target is there, loss and gradient are 0. The gradients of matching and pulls are
        added before clipping; `penalty` tells their value.

        Args:
            starts: (B,) first rows of the windows.
            alpha: (T, S) mask of the forcing for each number of the state, row t applied before step t, row 0 ignored
                since the window starts on the data.
            learning_rate: of this step.
            rows: (P,) which points of the matching this step looks at; None or none leaves the penalty out.

        Returns:
            The loss before the update and the norm of the gradient before clipping. Where the run diverged they are
            not finite, and the parameters are spoilt from then on.

        Raises:
            IndexError: a window does not lie inside the series, or a row not inside the points.
            ValueError: a shape does not fit.
        """
        losses, norms = self.updates(starts[None], [alpha], [learning_rate], None if rows is None else rows[None])
        return float(losses[0]), float(norms[0])

    def updates(
        self, starts: Ints, alphas: Sequence[Floats], learning_rates: Sequence[float], rows: Ints | None = None
    ) -> tuple[Floats, Floats]:
        """U training steps in one call; it ends early, after the first of them whose loss or gradient is not finite.

        Args:
            starts: (U, B), as for `update`.
            alphas: U masks (T, S); neighbours that are equal are stored once.
            learning_rates: U of them.
            rows: (U, P) or None.

        Returns:
            Losses and gradient norms of the steps that were made, (U',) with U' <= U.

        Raises:
            IndexError, ValueError: as for `update`; nothing was changed then.
        """
        done = self._run(starts, alphas, learning_rates, rows, self._optimiser)
        self.iteration += done
        return self._held["losses"][:done].copy(), self._held["norms"][:done].copy()

    def loss_and_gradient(
        self, starts: Ints, alpha: Floats, rows: Ints | None = None
    ) -> tuple[float, dict[str, Array]]:
        """The loss of a batch and the gradient by name, clipped where clipping is on; no parameter is updated.

        Args:
            starts, alpha, rows: as for `update`.

        Returns:
            The loss, and copies of the gradient's parts.
        """
        self._run(starts[None], [alpha], [0.0], None if rows is None else rows[None], NO_UPDATE)
        return float(self._held["losses"][0]), self._equations.named(self._held["gradient"].copy())

    def _run(
        self, starts: Ints, alphas: Sequence[Floats], rates: Sequence[float], rows: Ints | None, optimiser: int
    ) -> int:
        arguments, count = self._arguments, len(starts)
        self._fit(starts, alphas, rows)
        masks, mask_of = _different(alphas)
        self._hold(
            starts=np.ascontiguousarray(starts, np.int64),
            masks=np.ascontiguousarray(masks, self._flat.dtype),
            mask_of=mask_of,
            rates=np.array(rates, np.float64),
            **{name: np.zeros(count) for name in ("losses", "penalties", "norms")},
        )
        if rows is not None:
            self._hold(match_rows=np.ascontiguousarray(rows, np.int64))
        arguments.updates, arguments.optimiser, arguments.iteration = count, optimiser, self.iteration + 1
        refused = self._train(ctypes.byref(arguments))
        if refused == POINT_OUTSIDE and rows is not None:
            raise IndexError(f"rows {rows.min()} to {rows.max()} are not all among {arguments.points} points")
        if refused:
            span = f"{starts.min()} to {starts.max()}, {arguments.steps + 1} rows long"
            raise IndexError(f"windows that start at {span}, do not lie inside {arguments.rows} rows")
        done = int(arguments.done)
        self.penalty = float(self._held["penalties"][done - 1])
        return done

    def _fit(self, starts: Ints, alphas: Sequence[Floats], rows: Ints | None) -> None:
        """Checks the shapes, and makes new work memory for another batch size, window length or number of points."""
        state, arguments = self._equations.state, self._arguments
        shapes = {alpha.shape for alpha in alphas}
        if starts.ndim != 2 or not starts.size or len(alphas) != len(starts) or len(shapes) != 1:
            raise ValueError(f"starts must be (U, B) beside U masks of one shape, got {starts.shape}, {shapes}")
        (steps, *width) = shapes.pop()
        if not steps or width != [state]:
            raise ValueError(f"alpha must be (T, {state}), got {(steps, *width)}")
        if rows is not None and (rows.ndim != 2 or (rows.size and not arguments.points)):
            raise ValueError(f"rows must be (P,), of a matching that was given, got {rows.shape[1:]}")
        sizes = starts.shape[1], steps, 0 if rows is None else rows.shape[1]
        if sizes == self._fitted:
            return
        arguments.batch, arguments.steps, arguments.matched = self._fitted = sizes
        elements = self._work_elements(ctypes.byref(arguments))
        work = np.zeros(elements + CACHE_LINE_BYTES // self._flat.itemsize, self._flat.dtype)
        self._hold(work=work[(-work.ctypes.data % CACHE_LINE_BYTES) // work.itemsize :])

    def _allow_gaps(self, seen: Array | None) -> None:
        """Hands over what may force the state where entries are missing; else the step looks for no gaps."""
        x = self._held["series"]
        if seen is not None and seen.shape != x.shape:
            raise ValueError(f"seen must be {x.shape}, got {seen.shape}")
        if seen is not None and np.isnan(x).any():
            self._hold(seen=np.ascontiguousarray(seen, x.dtype))

    def _drive(self, u: Array | None) -> None:
        wanted = (self._arguments.rows, self._equations.inputs)
        found = (self._arguments.rows, 0) if u is None else u.shape
        if found != wanted:
            raise ValueError(f"u must be {wanted}, got {found}")
        if u is not None:
            self._hold(drives=np.ascontiguousarray(u, self._flat.dtype))

    def _match(self, matching: Matching | None) -> None:
        if matching is None:
            return
        if matching.points.shape[1] != self._equations.latent:
            raise ValueError(f"points must be (R, {self._equations.latent}), got {matching.points.shape}")
        points, slopes = (np.ascontiguousarray(a, self._flat.dtype) for a in (matching.points, matching.slopes))
        self._arguments.points, self._arguments.match_weight = len(points), matching.weight / matching.scale
        self._hold(match_points=points, match_slopes=slopes)
        if self._train(ctypes.byref(self._arguments)) == UNMATCHED:
            raise ValueError(f"cells of kind {self._equations.kind} have no Jacobian matching in native code")

    def _pull(self, pulls: Sequence[Pull]) -> None:
        """Pulls and limits as arrays of structures."""
        place = self._equations.place
        terms = [PullArguments(*place(p.parameter, p.rows), FORMS[p.form], p.target, p.weight) for p in pulls]
        limits = [LimitArguments(*place(name), limit) for name, limit in self._equations.limits.items()]
        self._terms = (PullArguments * len(terms))(*terms), (LimitArguments * len(limits))(*limits)
        self._arguments.pull_count, self._arguments.limit_count = len(terms), len(limits)
        self._arguments.pulls, self._arguments.limits = (ctypes.addressof(array) for array in self._terms)

    def _hold(self, **arrays: Array) -> None:
        """Keeps arrays alive and hands over where they are."""
        self._held |= arrays
        for name, array in arrays.items():
            setattr(self._arguments, name, array.ctypes.data)

    def _start_value(self, params: Mapping[str, Array], name: str) -> Array:
        array, shape = np.asarray(params[name], self._held["series"].dtype), self._equations.shapes[name]
        if array.shape != shape:
            raise ValueError(f"parameter {name} must be {shape}, got {array.shape}")
        return array.ravel()


def _different(alphas: Sequence[Floats]) -> tuple[list[Floats], Ints]:
    """The masks without those that equal the one before, and the place of each among them."""
    found, places = [alphas[0]], np.zeros(len(alphas), np.int64)
    for i, alpha in enumerate(alphas):
        if alpha is not found[-1] and not np.array_equal(alpha, found[-1]):
            found.append(alpha)
        places[i] = len(found) - 1
    return found, places
