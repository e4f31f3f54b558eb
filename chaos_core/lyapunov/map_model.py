"""The map model: a smooth map fitted to the data."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chaos_core.lyapunov.features import Features, WeighedFeatures
from chaos_core.lyapunov.neighbours import Orbit, near
from chaos_core.typing import Floats, Ints

__all__ = ["ROUGH_ROWS", "TRAIN_ROWS", "MapModel", "fit_map", "principal_axes"]


WIDEST, HALVINGS = 5.6, 3
RIDGES = (1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2)
DAMPINGS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
DAMPING_COST = 5.0
NEIGHBOURS = 30
TRAIN_ROWS = 6000
TRAIN_ROWS_WIDE = 3000
ROUGH_ROWS = 3000
"""Enough to see whether there is a rule, and to take a few per cent of noise away with it."""
WIDE = 10
HELD_OUT_ROWS = 2500
HELD_OUT_SHARE = 0.2
CENTRES_FROM = 3000


@dataclass(frozen=True, eq=False)
class MapModel:
    """z_{t+h} = z_t + features(z_t) @ weights, with its held-out errors.

    Args:
        features: the basis.
        weights: (F, D).
        step: h, rows.
        error: mean squared held-out error, as a share of the variance of the states.
        least_error: the same before damping.
        linear_error: the same of the best linear map.
    """

    features: Features
    weights: Floats
    step: int
    error: float
    least_error: float
    linear_error: float

    @property
    def error_ratio(self) -> float:
        """Held-out error over that of the linear map: near 1 where no nonlinear rule connects the rows."""
        return self.least_error / max(self.linear_error, 1e-300)

    def next(self, z: Floats) -> tuple[Floats, Floats]:
        """(B, D) states to the states h rows later, and the derivatives (B, D, D) of these."""
        change, slopes = self._change(z)
        return z + change, slopes + np.eye(z.shape[1])

    @cached_property
    def _change(self) -> WeighedFeatures:
        return self.features.weighed(self.weights)


def _drawn(z: Floats, count: int) -> Floats:
    chosen = np.random.default_rng(0).choice(len(z), min(count, max(1, len(z) // 4)), replace=False)
    return np.asarray(z[chosen], np.float64)


def _spread_out(z: Floats, count: int) -> Floats:
    """States far from each other: each one the farthest from those before. Rare spikes get their share of them.

    Source: T. F. Gonzalez (1985), doi:10.1016/0304-3975(85)90224-5.
    """
    z = z[:: max(1, len(z) // CENTRES_FROM)]
    chosen = np.zeros(min(count, max(1, len(z) // 4)), np.int64)
    distance = np.full(len(z), np.inf)
    for i in range(1, len(chosen)):
        gap = z - z[chosen[i - 1]]
        distance = np.minimum(distance, np.einsum("ij,ij->i", gap, gap))
        chosen[i] = distance.argmax()
    return np.asarray(z[chosen], np.float64)


def _both(z: Floats, count: int) -> Floats:
    return np.concatenate([_drawn(z, count // 2), _spread_out(z, count - count // 2)])


def _solve(gram: Floats, moment: Floats) -> list[Floats]:
    values, vectors = np.linalg.eigh(gram)
    turned = vectors.T @ moment
    return [vectors @ (turned / (np.maximum(values, 0) + ridge)[:, None]) for ridge in RIDGES]


def _split(orbit: Orbit, step: int, most: int) -> tuple[Ints, Ints]:
    rows = np.flatnonzero(orbit.room >= step)
    border = int(len(rows) * (1 - HELD_OUT_SHARE))
    train, held_out = rows[: max(1, border - step)], rows[border:]
    most = min(most, TRAIN_ROWS_WIDE) if orbit.z.shape[1] > WIDE else most
    return train[:: max(1, len(train) // most)], held_out[:: max(1, len(held_out) // HELD_OUT_ROWS)]


@dataclass(frozen=True, eq=False)
class _Trial:
    """The normal equations of one basis, and how well its weights predict the held-out rows."""

    features: Features
    gram: Floats
    moment: Floats
    shown: Floats
    goal: Floats

    def best(self, gram: Floats, moment: Floats) -> tuple[float, Floats]:
        tried = [(float(((self.goal - self.shown @ weights) ** 2).mean()), weights) for weights in _solve(gram, moment)]
        return min(tried, key=lambda pair: pair[0])


def principal_axes(orbit: Orbit, rows: Ints) -> Floats:
    """(B, D, D) principal axes of the thirty states nearest to each row, the widest last.

    Args:
        orbit: the states.
        rows: (B,) of them.
    """
    library = orbit.z[:: max(1, orbit.length // 10_000)]
    cloud = library[near(library, orbit.z[rows], NEIGHBOURS)]
    cloud = cloud - cloud.mean(axis=1, keepdims=True)
    return np.asarray(np.linalg.eigh(np.einsum("nki,nkj->nij", cloud, cloud))[1], np.float64)


def _damped(trial: _Trial, orbit: Orbit, rows: Ints, directions: int, least: float) -> tuple[float, Floats] | None:
    """The weights with the strongest damping across the data that the held-out error bears."""
    planes, z = principal_axes(orbit, rows), orbit.z[rows]
    gram, moment = np.zeros_like(trial.gram), np.zeros_like(trial.moment)
    for column in range(z.shape[1] - directions):
        across = planes[:, :, column]
        change = trial.features.along(z, across)
        gram += change.T @ change / len(z)
        moment -= change.T @ across / len(z)
    for damping in reversed(DAMPINGS):
        found = trial.best(trial.gram + damping**2 * gram, trial.moment + damping**2 * moment)
        if found[0] <= DAMPING_COST * least:
            return found
    return None


def fit_map(
    orbit: Orbit, step: int, *, gaussians: int = 200, directions: int | None = None, rows: int = TRAIN_ROWS
) -> MapModel:
    """Fits the map by ridge regression; width and ridge are those with the smallest error on the last fifth.

    A delay embedding holds more coordinates than the motion has directions. Across the data nothing is known of the
    map, and what the fit makes up there are spurious exponents. With `directions` given, displacements across the
    local principal axes of the data are asked to vanish within one step (rows dF/dn = -n with a small weight in the
    regression): the strongest such damping is taken that leaves the held-out error below five times the smallest.

    Args:
        orbit: (T, D) states, each coordinate scaled to unit variance.
        step: h, rows; 1 for a full state, a tenth of a period for a delay embedding (whose coordinates hardly move
            in one row).
        gaussians: number of centres, states of the data: of a full state those far from each other (on Rossler's flow
            a sixtieth of the held-out error that states drawn at random leave), of delays half such and half drawn at
            random (a fifth of the held-out error, on median of 67 flows, that half as many drawn ones leave).
        rows: that it is fitted to, at most, evenly spread.
        directions: local directions that the motion has; None for a full state, which is not damped.

    Source: A. Maus, J. C. Sprott (2013), Evaluating Lyapunov exponent spectra with neural networks, Chaos, Solitons &
        Fractals 51, 13 (exponents from global models).
    """
    train, held_out = _split(orbit, step, rows)
    z, target = orbit.z[train], orbit.z[train + step] - orbit.z[train]
    test, goal = orbit.z[held_out], orbit.z[held_out + step] - orbit.z[held_out]
    centres = _spread_out(z, gaussians) if directions is None else _both(z, gaussians)
    variance = float(orbit.z.var(axis=0).mean())
    linear = np.linalg.lstsq(np.c_[np.ones(len(z)), z], target, rcond=None)[0]
    linear_error = float(((goal - np.c_[np.ones(len(test)), test] @ linear) ** 2).mean()) / variance
    best: tuple[float, Floats, _Trial] | None = None
    widest = Features(centres, WIDEST * float(np.sqrt(z.shape[1])))
    bumps, test_bumps = widest.gaussians(z), widest.gaussians(test)
    for halvings in range(HALVINGS + 1):
        features = Features(centres, widest.width / 2**halvings)
        if halvings:
            bumps, test_bumps = np.square(np.square(bumps)), np.square(np.square(test_bumps))
        basis, shown = features.values(z, bumps), features.values(test, test_bumps)
        trial = _Trial(features, basis.T @ basis / len(z), basis.T @ target / len(z), shown, goal)
        error, weights = trial.best(trial.gram, trial.moment)
        if best is None or error < best[0]:
            best = error, weights, trial
    assert best is not None
    least, weights, trial = best
    error = least
    if directions is not None and directions < z.shape[1]:
        error, weights = _damped(trial, orbit, train[::3], directions, least) or (least, weights)
    return MapModel(trial.features, weights, step, error / variance, least / variance, linear_error)
