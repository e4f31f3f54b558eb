"""The map model: a smooth map fitted to the data, and the growth of tangent vectors along the data and in free runs."""

from dataclasses import dataclass

import numpy as np

from chaos_core.lyapunov.neighbours import Orbit, near
from chaos_core.typing import Floats, Ints

__all__ = ["MapExponent", "MapModel", "fit_map", "free_growth", "tangent_growth"]


WIDTHS = (0.7, 1.4, 2.8, 5.6)
RIDGES = (1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2)
DAMPINGS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
DAMPING_COST = 5.0
NEIGHBOURS = 30
TRAIN_ROWS = 6000
TRAIN_ROWS_WIDE = 3000
WIDE = 10
HELD_OUT_ROWS = 2500
HELD_OUT_SHARE = 0.2
MIN_BLOCKS = 8
FREE_RUNS = 32
ALIVE = 0.9
FAR_AWAY = 2.0


@dataclass(frozen=True, eq=False)
class Features:
    """[1, z, products z_i z_j, Gaussians round `centres`] and their derivative along a vector."""

    centres: Floats
    width: float

    def _gaussians(self, z: Floats) -> Floats:
        square = (z**2).sum(axis=1)[:, None] + (self.centres**2).sum(axis=1) - 2 * z @ self.centres.T
        return np.asarray(np.exp(-np.maximum(square, 0) / (2 * self.width**2)), np.float64)

    def values(self, z: Floats) -> Floats:
        """(B, D) states to (B, F) features."""
        i, j = np.triu_indices(z.shape[1])
        return np.concatenate([np.ones((len(z), 1)), z, z[:, i] * z[:, j], self._gaussians(z)], axis=1)

    def along(self, z: Floats, v: Floats) -> Floats:
        """(B, F) derivative of the features at z along v, both (B, D)."""
        i, j = np.triu_indices(z.shape[1])
        inward = v @ self.centres.T - (z * v).sum(axis=1)[:, None]
        gaussians = self._gaussians(z) * inward / self.width**2
        products = v[:, i] * z[:, j] + z[:, i] * v[:, j]
        return np.concatenate([np.zeros((len(z), 1)), v, products, gaussians], axis=1)

    def jacobians(self, z: Floats, weights: Floats) -> Floats:
        """(B, K, D) derivatives of features(z) @ weights, for weights (F, K)."""
        d = z.shape[1]
        i, j = np.triu_indices(d)
        linear, squares, bumps = weights[1 : 1 + d], weights[1 + d : 1 + d + len(i)], weights[1 + d + len(i) :]
        products = np.zeros((d, d, weights.shape[1]))
        products[i, j] += squares
        products[j, i] += squares
        found = linear.T + np.einsum("ba,ajk->bkj", z, products)
        gaussians = self._gaussians(z) / self.width**2
        for column in range(d):
            found[:, :, column] += gaussians @ (self.centres[:, column, None] * bumps)
        return np.asarray(found - (gaussians @ bumps)[:, :, None] * z[:, None, :], np.float64)


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

    def next(self, z: Floats) -> Floats:
        """(B, D) states to the states h rows later."""
        return np.asarray(z + self.features.values(z) @ self.weights, np.float64)


def _solve(gram: Floats, moment: Floats) -> list[Floats]:
    values, vectors = np.linalg.eigh(gram)
    turned = vectors.T @ moment
    return [vectors @ (turned / (np.maximum(values, 0) + ridge)[:, None]) for ridge in RIDGES]


def _split(orbit: Orbit, step: int) -> tuple[Ints, Ints]:
    rows = np.flatnonzero(orbit.room >= step)
    border = int(len(rows) * (1 - HELD_OUT_SHARE))
    train, held_out = rows[: max(1, border - step)], rows[border:]
    most = TRAIN_ROWS_WIDE if orbit.z.shape[1] > WIDE else TRAIN_ROWS
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


def _damped(trial: _Trial, orbit: Orbit, rows: Ints, directions: int, least: float) -> tuple[float, Floats] | None:
    """The weights with the strongest damping across the data that the held-out error bears."""
    planes, z = _principal_axes(orbit, rows), orbit.z[rows]
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


def fit_map(orbit: Orbit, step: int, *, gaussians: int = 200, directions: int | None = None, seed: int = 0) -> MapModel:
    """Fits the map by ridge regression; width and ridge are those with the smallest error on the last fifth.

    A delay embedding holds more coordinates than the motion has directions. Across the data nothing is known of the
    map, and what the fit makes up there are spurious exponents. With `directions` given, displacements across the
    local principal axes of the data are asked to vanish within one step (rows dF/dn = -n with a small weight in the
    regression): the strongest such damping is taken that leaves the held-out error below five times the smallest.

    Args:
        orbit: (T, D) states, each coordinate scaled to unit variance.
        step: h, rows; 1 for a full state, a tenth of a period for a delay embedding (whose coordinates hardly move
            in one row).
        gaussians: number of centres, drawn from the data.
        directions: local directions that the motion has; None for a full state, which is not damped.
        seed: of the centres.

    Source: A. Maus, J. C. Sprott (2013), Evaluating Lyapunov exponent spectra with neural networks, Chaos, Solitons &
        Fractals 51, 13 (exponents from global models).
    """
    rng = np.random.default_rng(seed)
    train, held_out = _split(orbit, step)
    z, target = orbit.z[train], orbit.z[train + step] - orbit.z[train]
    test, goal = orbit.z[held_out], orbit.z[held_out + step] - orbit.z[held_out]
    centres = z[rng.choice(len(z), min(gaussians, max(1, len(z) // 4)), replace=False)]
    variance = float(orbit.z.var(axis=0).mean())
    linear = np.linalg.lstsq(np.c_[np.ones(len(z)), z], target, rcond=None)[0]
    linear_error = float(((goal - np.c_[np.ones(len(test)), test] @ linear) ** 2).mean()) / variance
    best: tuple[float, Floats, _Trial] | None = None
    for width in WIDTHS:
        features = Features(centres, width * float(np.sqrt(z.shape[1])))
        basis = features.values(z)
        trial = _Trial(features, basis.T @ basis / len(z), basis.T @ target / len(z), features.values(test), goal)
        error, weights = trial.best(trial.gram, trial.moment)
        if best is None or error < best[0]:
            best = error, weights, trial
    assert best is not None
    least, weights, trial = best
    error = least
    if directions is not None and directions < z.shape[1]:
        error, weights = _damped(trial, orbit, train[::3], directions, least) or (least, weights)
    return MapModel(trial.features, weights, step, error / variance, least / variance, linear_error)


@dataclass(frozen=True, eq=False)
class MapExponent:
    """Growth of a tangent vector.

    Args:
        exponent: nats per row, the mean over all blocks or runs.
        parts: (G,) means over each.
    """

    exponent: float
    parts: Floats


def _principal_axes(orbit: Orbit, rows: Ints) -> Floats:
    """(B, D, D) principal axes of the states near each row, the widest last."""
    library = orbit.z[:: max(1, orbit.length // 10_000)]
    cloud = library[near(library, orbit.z[rows], NEIGHBOURS)]
    cloud = cloud - cloud.mean(axis=1, keepdims=True)
    return np.asarray(np.linalg.eigh(np.einsum("nki,nkj->nij", cloud, cloud))[1], np.float64)


def tangent_growth(
    orbit: Orbit, model: MapModel, *, block: int, burn_in: int, blocks: int = 40, directions: int | None = None
) -> MapExponent | None:
    """Pushes one tangent vector per block through the model's Jacobians along the data: mean of ln |J v|.

    Args:
        orbit: the states that the model was fitted to.
        model: the map.
        block: rows of each block that count.
        burn_in: rows before them, in which the vector turns into the most unstable direction.
        blocks: most blocks, evenly spread, as many as lie side by side in the series; several offsets are averaged
            where the model's step is above 1.
        directions: project on that many local principal directions after each step, which removes the spurious
            exponents of a delay embedding; None for a full state.

    Returns:
        None where no run holds a block.

    Source: J.-P. Eckmann, D. Ruelle (1985), doi:10.1103/RevModPhys.57.617, section V.
    Differs: along the data with a global map, so that no free run can leave the attractor.
    """
    h = model.step
    burn, count = -(-burn_in // h), max(1, block // h)
    side_by_side = max(MIN_BLOCKS, orbit.length // block)
    starts = orbit.starts((burn + count) * h + h - 1, min(blocks, side_by_side))
    if starts.size == 0:
        return None
    starts = (starts[:, None] + np.arange(h)).ravel()
    rows = starts[:, None] + h * np.arange(burn + count + 1)
    planes = None
    if directions is not None and directions < orbit.z.shape[1]:
        axes = _principal_axes(orbit, rows.ravel())[:, :, -directions:]
        planes = axes.reshape(*rows.shape, orbit.z.shape[1], directions)
    v = np.full((len(starts), orbit.z.shape[1]), orbit.z.shape[1] ** -0.5)
    growth = np.zeros((len(starts), burn + count))
    for k in range(burn + count):
        v = v + model.features.along(orbit.z[rows[:, k]], v) @ model.weights
        if planes is not None:
            v = np.einsum("bia,bja,bj->bi", planes[:, k + 1], planes[:, k + 1], v)
        size = np.maximum(np.linalg.norm(v, axis=1), 1e-300)
        growth[:, k] = np.log(size)
        v = v / size[:, None]
    parts = growth[:, burn:].mean(axis=1).reshape(-1, h).mean(axis=1) / h
    return MapExponent(float(parts.mean()), parts)


def free_growth(
    orbit: Orbit, model: MapModel, *, steps: int, burn_in: int, runs: int = FREE_RUNS
) -> MapExponent | None:
    """Lets the map run freely from states of the data and pushes a tangent vector along each run.

    Where the map has the attractor of the data, this is the exponent of the map itself: errors of single Jacobians
    average out as they do not along the data, since the run stays on the map's own attractor.

    Args:
        orbit: the states that the model was fitted to.
        model: the map.
        steps: rows of each run that count.
        burn_in: rows before them.
        runs: how many, from starts spread over the data.

    Returns:
        None where more than a tenth of the runs leave the data by more than their extent.

    Source: G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn (1980), doi:10.1007/BF02128236 (the growth).
    """
    h = model.step
    burn, count = -(-burn_in // h), max(1, steps // h)
    z = orbit.z[orbit.starts(0, runs)].copy()
    bound = FAR_AWAY * np.abs(orbit.z).max(axis=0)
    v = np.full(z.shape, z.shape[1] ** -0.5)
    alive, growth = np.ones(len(z), bool), np.zeros((len(z), burn + count))
    for k in range(burn + count):
        v[alive] += model.features.along(z[alive], v[alive]) @ model.weights
        z[alive] = model.next(z[alive])
        alive &= (np.abs(z) <= bound).all(axis=1)
        if alive.mean() < ALIVE:
            return None
        size = np.maximum(np.linalg.norm(v, axis=1), 1e-300)
        growth[:, k] = np.log(size)
        v /= size[:, None]
    parts = growth[alive, burn:].mean(axis=1) / h
    return MapExponent(float(parts.mean()), parts)
