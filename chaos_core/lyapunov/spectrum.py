"""All Lyapunov exponents of a known map, say of a trained cell's free run, by repeated QR decomposition."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from chaos_core import native
from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.cells.base import Cell
from chaos_core.equations import free_equations
from chaos_core.errors import BadShape, Inconsistent
from chaos_core.lyapunov.dimension import kaplan_yorke
from chaos_core.typing import Flags, Floats, NumpyParams

__all__ = ["Spectrum", "cell_spectrum", "lyapunov_spectrum"]

NumpyMap = Callable[[Floats], Floats]

BOUND = 1e6
"""A state beyond this many times the largest start (or 1) has left all bounds."""
STILL = 1e-9
"""A run whose last step moves it by less than this share of its size has come to rest."""
PROBE = 100
"""Steps that tell how fast the frame's directions part."""
DIGITS = 5
MOST_BETWEEN = 20
ENTRIES = 100_000
"""Entries of Jacobians made at once: a cell's hidden layer takes some thirty times as much memory on the way."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Lyapunov exponents of a map, in nats per step.

    Args:
        exponents: (M,) mean over the starts, descending; -inf where the map flattens a direction altogether. None where
            no run stayed within bounds; then `reason` says so.
        error: (M,) standard error of that mean; None with fewer than two starts.
        by_start: (K', M) of each run that stayed within bounds.
        kaplan_yorke: the dimension that the exponents imply.
        steps: steps of each run that counted.
        escaped: how many runs left all bounds; they are not in the mean.
        rested: how many ended at a fixed point, where the exponents are those of the point and not of an attractor
            that moves.
        reason: why there are no exponents; None where there are.
    """

    exponents: Floats | None
    error: Floats | None
    by_start: Floats
    kaplan_yorke: float | None
    steps: int
    escaped: int
    rested: int
    reason: str | None = None

    @property
    def lambda_max(self) -> float | None:
        """The largest exponent, nats per step; None where there are none."""
        return None if self.exponents is None else float(self.exponents[0])

    @property
    def doubt(self) -> str | None:
        """Why these are not the exponents of one attractor that moves, as a sentence; None where they are."""
        if self.reason is not None or not (self.rested or self.escaped):
            return self.reason
        runs = len(self.by_start) + self.escaped
        fates = [(self.rested, "came to rest at a fixed point"), (self.escaped, "left all bounds")]
        return " and ".join(f"{count} of {runs} runs {fate}" for count, fate in fates if count)


def cell_spectrum(
    cell: Cell, params: NumpyParams, z0: Floats, *, steps: int = 10_000, burn_in: int = 1000, every: int | None = None
) -> Spectrum:
    """`lyapunov_spectrum` of a cell's free run, in float64 whatever the parameters are stored as.

    Natively where there is such a loop, else in numpy: the same to rounding.

    Args:
        cell: the equations, with their Jacobian.
        params: its parameters by name; external inputs count as zero.
        z0: (K, M) start states, say inferred from rows of the data; M is the cell's `state_size`.
        steps, burn_in, every: as in `lyapunov_spectrum`.

    Returns:
        The exponents, nats per step of the cell.

    Raises:
        BadShape, Inconsistent: as in `lyapunov_spectrum`.

    Source: see `lyapunov_spectrum`.
    """
    p = as_arrays(params)
    bound_step = cell.bind(p)
    start = _checked(z0, steps, burn_in, every)
    limit = _limit(start)
    walk: _Walk | None = native.walk(free_equations(cell), params, start, limit)

    def step(z: Floats) -> Floats:
        return as_numpy(bound_step(as_array(z)))

    if walk is None:
        walk = _NumpyWalk(step, lambda z: as_numpy(cell.jacobian(p, as_array(z))), start, limit)
    return _measured(walk, step, steps, burn_in, every)


def lyapunov_spectrum(
    step: NumpyMap,
    jacobian: NumpyMap,
    z0: Floats,
    *,
    steps: int = 10_000,
    burn_in: int = 1000,
    every: int | None = None,
    bound: float | None = None,
) -> Spectrum:
    """Lyapunov exponents of z_{t+1} = F(z_t) from several starts side by side.

    An orthonormal frame Q is pushed along the run, J(z_t) Q, and made orthonormal again by QR = J ... J Q every few
    steps; lambda_i = mean of ln |R_ii| per step.

    Args:
        step: F on (..., M).
        jacobian: dF/dz on (..., M) -> (..., M, M), entry [i, j] being dF_i / dz_j.
        z0: (K, M) starts; ten or more give a fair standard error.
        steps: of each run that count. 10 000 steps from 10 starts leave an error of about 1 % in the largest exponent
            of Lorenz-63 at 100 steps a time unit.
        burn_in: steps that are run first with the frame, so that both reach the attractor and its directions.
        every: steps between two decompositions. None chooses: as many as leave the frame's directions within five
            of a number's sixteen digits, and at most 20. The exponents do not depend on it, unless it is so large that
            directions become one; then the smallest come out as -inf.
        bound: a state with a larger entry has left all bounds; None: a million times the largest start or 1.

    Returns:
        The exponents. Without any run inside the bounds they are None with a reason; runs that left them do not count.

    Raises:
        BadShape: z0 is not (K, M).
        Inconsistent: steps or every is below 1, or burn_in below 0.

    Source: G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn (1980), Lyapunov characteristic exponents for smooth
        dynamical systems, doi:10.1007/BF02128236; by QR: J.-P. Eckmann, D. Ruelle (1985),
        doi:10.1103/RevModPhys.57.617, section V.C.
    """
    start = _checked(z0, steps, burn_in, every)
    walk = _NumpyWalk(step, jacobian, start, _limit(start) if bound is None else bound)
    return _measured(walk, step, steps, burn_in, every)


def _checked(z0: Floats, steps: int, burn_in: int, every: int | None) -> Floats:
    z = np.array(z0, np.float64)
    if z.ndim != 2 or z.size == 0:
        raise BadShape(f"starts have shape {z.shape}; (K, M) is needed", shape=list(z.shape))
    if steps < 1 or burn_in < 0 or (every is not None and every < 1):
        raise Inconsistent("steps and every must be at least 1, and burn_in at least 0")
    return z


def _limit(z: Floats) -> float:
    return BOUND * max(1.0, float(np.abs(z).max()))


class _Walk(Protocol):
    """Runs and their frames, moved on together."""

    limit: float
    """A state with a larger entry has left all bounds."""
    z: Floats
    """(K, M) where the runs are."""
    inside: Flags
    """(K,) which never left the bounds."""

    def go(self, steps: int, every: int) -> Floats:
        """Moves on by so many steps and returns the sums of ln |R_ii|, (K, M)."""


def _measured(walk: _Walk, step: NumpyMap, steps: int, burn_in: int, every: int | None) -> Spectrum:
    with np.errstate(all="ignore"):
        if every is None:
            probe = min(PROBE, steps)
            gaps = walk.go(probe, 1)
            every = _safe_interval(gaps[walk.inside] / probe)
        walk.go(burn_in, every)
        sums = walk.go(steps, every)
        rested = int(_rested(step, walk.z, walk.inside).sum())
    return _summary(sums / steps, walk, steps, rested)


class _NumpyWalk:
    """The twin of native.walk, for any map."""

    def __init__(self, step: NumpyMap, jacobian: NumpyMap, z: Floats, limit: float) -> None:
        self.step, self.jacobian, self.limit = step, jacobian, limit
        self.z = z
        self.frame: Floats = np.broadcast_to(np.eye(z.shape[1]), (len(z), z.shape[1], z.shape[1]))
        self.inside: Flags = np.ones(len(z), np.bool_)

    def go(self, steps: int, every: int) -> Floats:
        """Moves on by so many steps and returns the sums of ln |R_ii|, (K, M)."""
        runs, units = self.z.shape
        sums = np.zeros((runs, units))
        chunk = max(every, ENTRIES // (runs * units * units) // every * every)
        for first in range(0, steps, chunk):
            states = self._states(min(chunk, steps - first))
            slopes = self.jacobian(states)
            for start in range(0, len(slopes), every):
                for slope in slopes[start : start + every]:
                    self.frame = slope @ self.frame
                sums += self._orthonormal()
        return sums

    def _states(self, steps: int) -> Floats:
        """(steps, K, M), the states before each step; runs beyond the limit are set to 0 and marked."""
        states = np.empty((steps, *self.z.shape))
        z = self.z
        for t in range(steps):
            states[t] = z
            z = self.step(z)
        farthest: Floats = np.maximum(np.abs(states).max(axis=(0, 2)), np.abs(z).max(axis=1))
        left: Flags = np.logical_not(np.less_equal(farthest, self.limit))
        self.inside &= ~left
        states[:, left] = 0.0
        self.z = np.where(left[:, None], 0.0, z)
        self.frame = np.where(left[:, None, None], np.eye(self.z.shape[1]), self.frame)
        return states

    def _orthonormal(self) -> Floats:
        """ln |R_ii| of the frames, which become orthonormal again; -inf where one has lost a direction."""
        whole = np.isfinite(self.frame.sum(axis=(1, 2)))
        self.inside &= whole
        self.frame, upper = np.linalg.qr(np.where(whole[:, None, None], self.frame, np.eye(self.z.shape[1])))
        logs: Floats = np.log(np.abs(np.diagonal(upper, axis1=1, axis2=2)))
        return logs


def _rested(step: NumpyMap, z: Floats, inside: Flags) -> Flags:
    """Which runs stand at a fixed point, (K,)."""
    moved, size = np.abs(step(z) - z).max(axis=1), np.abs(z).max(axis=1)
    still: Flags = inside & (moved <= STILL * size)
    return still


def _safe_interval(rates: Floats) -> int:
    """Steps after which the frame's directions differ in length by no more than five of their sixteen digits."""
    if not rates.size:
        return 1
    spread = float(np.max(rates.max(axis=1) - rates.min(axis=1)))
    return max(1, min(MOST_BETWEEN, int(math.log(10.0) * DIGITS / max(spread, 1e-3)))) if spread < math.inf else 1


def _summary(rates: Floats, walk: _Walk, steps: int, rested: int) -> Spectrum:
    escaped = int((~walk.inside).sum())
    by_start = -np.sort(-rates[walk.inside], axis=1)
    if not len(by_start):
        reason = f"all {escaped} runs left the bounds of {walk.limit:g}, so there is nothing to average"
        return Spectrum(None, None, by_start, None, steps, escaped, rested, reason)
    mean = by_start.mean(axis=0)
    error = None
    if len(by_start) > 1:
        flat = np.isinf(by_start).any(axis=0)
        error = np.where(flat, 0.0, np.where(flat, 0.0, by_start).std(axis=0, ddof=1)) / math.sqrt(len(by_start))
    return Spectrum(mean, error, by_start, kaplan_yorke(mean), steps, escaped, rested)
