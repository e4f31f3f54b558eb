"""The map model: a smooth map fitted to the data, and the growth of tangent vectors along the data and in free runs."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chaos_core.lyapunov.neighbours import Orbit, near
from chaos_core.typing import Floats, Ints

__all__ = ["FreeGrowth", "MapExponent", "MapModel", "fit_map", "free_growth", "tangent_growth"]


WIDEST, HALVINGS = 5.6, 3
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
CENTRES_FROM = 3000
ALIVE = 0.9
FAR_AWAY = 2.0


@dataclass(frozen=True, eq=False)
class Features:
    """[1, z, products z_i z_j, Gaussians round `centres`] and their derivatives."""

    centres: Floats
    width: float

    @cached_property
    def _pairs(self) -> tuple[Ints, Ints]:
        i, j = np.triu_indices(self.centres.shape[1])
        return i, j

    @cached_property
    def _centre_squares(self) -> Floats:
        return np.asarray((self.centres**2).sum(axis=1), np.float64)

    def gaussians(self, z: Floats) -> Floats:
        """(B, C) of the last columns of the features of z (B, D)."""
        exponent = (2 * z) @ self.centres.T
        exponent -= (z**2).sum(axis=1)[:, None]
        exponent -= self._centre_squares
        np.minimum(exponent, 0, out=exponent)
        exponent *= 0.5 / self.width**2
        return np.exp(exponent, out=exponent)

    def values(self, z: Floats, gaussians: Floats | None = None) -> Floats:
        """(B, D) states to (B, F) features; their Gaussians are computed where they are not given."""
        i, j = self._pairs
        bumps = self.gaussians(z) if gaussians is None else gaussians
        return np.concatenate([np.ones((len(z), 1)), z, z[:, i] * z[:, j], bumps], axis=1)

    def along(self, z: Floats, v: Floats) -> Floats:
        """(B, F) derivative of the features at z along v, both (B, D)."""
        i, j = self._pairs
        inward = v @ self.centres.T - (z * v).sum(axis=1)[:, None]
        bumps = self.gaussians(z) * inward / self.width**2
        products = v[:, i] * z[:, j] + z[:, i] * v[:, j]
        return np.concatenate([np.zeros((len(z), 1)), v, products, bumps], axis=1)

    def linearised(self, z: Floats, weights: Floats) -> tuple[Floats, Floats]:
        """(B, K) features(z) @ weights and its derivatives (B, K, D), for weights (F, K)."""
        d, (i, j) = z.shape[1], self._pairs
        linear, squares, bumps = weights[1 : 1 + d], weights[1 + d : 1 + d + len(i)], weights[1 + d + len(i) :]
        products = np.zeros((d, d, weights.shape[1]))
        products[i, j] += squares
        products[j, i] += squares
        gaussians = self.gaussians(z)
        bent = (z @ products.reshape(d, -1)).reshape(len(z), d, -1)
        sloped = (self.centres[:, :, None] * bumps[:, None, :]).reshape(len(bumps), -1)
        pulled = (gaussians @ sloped).reshape(len(z), d, -1)
        lifted = gaussians @ bumps
        slopes = linear + bent + (pulled - z[:, :, None] * lifted[:, None, :]) / self.width**2
        value = weights[0] + z @ linear + 0.5 * np.einsum("bd,bdk->bk", z, bent) + lifted
        return value, slopes.swapaxes(1, 2)


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
        change, slopes = self.features.linearised(z, self.weights)
        return z + change, slopes + np.eye(z.shape[1])


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


def fit_map(orbit: Orbit, step: int, *, gaussians: int = 200, directions: int | None = None) -> MapModel:
    """Fits the map by ridge regression; width and ridge are those with the smallest error on the last fifth.

    A delay embedding holds more coordinates than the motion has directions. Across the data nothing is known of the
    map, and what the fit makes up there are spurious exponents. With `directions` given, displacements across the
    local principal axes of the data are asked to vanish within one step (rows dF/dn = -n with a small weight in the
    regression): the strongest such damping is taken that leaves the held-out error below five times the smallest.

    Args:
        orbit: (T, D) states, each coordinate scaled to unit variance.
        step: h, rows; 1 for a full state, a tenth of a period for a delay embedding (whose coordinates hardly move
            in one row).
        gaussians: number of centres, states of the data: of a full state those far from each other (sixty times less
            error on Rossler's flow than with states drawn at random), of delays drawn at random (a fifth less error).
        directions: local directions that the motion has; None for a full state, which is not damped.

    Source: A. Maus, J. C. Sprott (2013), Evaluating Lyapunov exponent spectra with neural networks, Chaos, Solitons &
        Fractals 51, 13 (exponents from global models).
    """
    train, held_out = _split(orbit, step)
    z, target = orbit.z[train], orbit.z[train + step] - orbit.z[train]
    test, goal = orbit.z[held_out], orbit.z[held_out + step] - orbit.z[held_out]
    centres = _spread_out(z, gaussians) if directions is None else _drawn(z, gaussians)
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


@dataclass(frozen=True, eq=False)
class MapExponent:
    """Growth of a tangent vector.

    Args:
        exponent: nats per row, the mean over all blocks or runs.
        parts: (G,) means over each.
    """

    exponent: float
    parts: Floats


@dataclass(frozen=True, eq=False)
class FreeGrowth(MapExponent):
    """Growth of tangent vectors in free runs of the map.

    Args:
        spectrum: (K,) exponents, nats per row, the largest first.
    """

    spectrum: Floats


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


def _orthonormal(v: Floats) -> tuple[Floats, Floats]:
    """(B, D, K) frames made orthonormal, and by how much each of their vectors grew (B, K)."""
    if v.shape[2] == 1:
        size = np.maximum(np.linalg.norm(v, axis=1), 1e-300)
        return v / size[:, None], size
    frames, triangles = np.linalg.qr(v)
    return frames, np.maximum(np.abs(np.einsum("bkk->bk", triangles)), 1e-300)


def free_growth(
    orbit: Orbit, model: MapModel, *, steps: int, burn_in: int, vectors: int = 1, runs: int = FREE_RUNS
) -> FreeGrowth | None:
    """Lets the map run freely from states of the data and pushes tangent vectors along each run.

    Where the map has the attractor of the data, these are the exponents of the map itself: errors of single Jacobians
    average out as they do not along the data, since the run stays on the map's own attractor.

    Args:
        orbit: the states that the model was fitted to.
        model: the map.
        steps: rows of each run that count.
        burn_in: rows before them.
        vectors: how many, each orthogonal to those before; as many exponents are found.
        runs: how many, from starts spread over the data.

    Returns:
        None where more than a tenth of the runs leave the data by more than their extent.

    Source: G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn (1980), doi:10.1007/BF02128236.
    """
    h = model.step
    burn, count = -(-burn_in // h), max(1, steps // h)
    z = orbit.z[orbit.starts(0, runs)]
    bound = FAR_AWAY * np.abs(orbit.z).max(axis=0)
    v = np.random.default_rng(0).standard_normal((*z.shape, vectors))
    alive, growth = np.ones(len(z), bool), np.zeros((burn + count, len(z), vectors))
    for k in range(burn + count):
        z[alive], slopes = model.next(z[alive])
        v[alive], growth[k, alive] = _orthonormal(slopes @ v[alive])
        alive &= (np.abs(z) <= bound).all(axis=1)
        if alive.mean() < ALIVE:
            return None
    parts = np.log(growth[burn:, alive]).mean(axis=0) / h
    return FreeGrowth(float(parts[:, 0].mean()), parts[:, 0], np.sort(parts.mean(axis=0))[::-1])
