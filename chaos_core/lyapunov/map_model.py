"""The map model: a smooth one-step map fitted to the data, and the growth of a tangent vector along the data."""

from dataclasses import dataclass

import numpy as np

from chaos_core.lyapunov.neighbours import Orbit, near
from chaos_core.typing import Floats, Ints

__all__ = ["MapExponent", "MapModel", "fit_map", "tangent_growth"]


WIDTHS = (0.7, 1.4, 2.8, 5.6)
RIDGES = (1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2)
TRAIN_ROWS = 6000
TRAIN_ROWS_WIDE = 3000
WIDE = 10
HELD_OUT_ROWS = 2500
HELD_OUT_SHARE = 0.2
MIN_BLOCKS = 8


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


@dataclass(frozen=True, eq=False)
class MapModel:
    """z_{t+h} = z_t + features(z_t) @ weights, with its held-out errors.

    Args:
        features: the basis.
        weights: (F, D).
        step: h, rows.
        error: mean squared held-out error, as a share of the variance of the states.
        linear_error: the same of the best linear map.
    """

    features: Features
    weights: Floats
    step: int
    error: float
    linear_error: float

    @property
    def error_ratio(self) -> float:
        """Held-out error over that of the linear map: near 1 where no nonlinear rule connects the rows."""
        return self.error / max(self.linear_error, 1e-300)


def _solve(basis: Floats, target: Floats, ridges: tuple[float, ...]) -> list[Floats]:
    values, vectors = np.linalg.eigh(basis.T @ basis / len(basis))
    turned = vectors.T @ (basis.T @ target / len(basis))
    return [vectors @ (turned / (np.maximum(values, 0) + ridge)[:, None]) for ridge in ridges]


def _split(orbit: Orbit, step: int) -> tuple[Ints, Ints]:
    rows = np.flatnonzero(orbit.room >= step)
    border = int(len(rows) * (1 - HELD_OUT_SHARE))
    train, held_out = rows[: max(1, border - step)], rows[border:]
    most = TRAIN_ROWS_WIDE if orbit.z.shape[1] > WIDE else TRAIN_ROWS
    return train[:: max(1, len(train) // most)], held_out[:: max(1, len(held_out) // HELD_OUT_ROWS)]


def fit_map(orbit: Orbit, step: int, *, gaussians: int = 200, jitter: float = 0.0, seed: int = 0) -> MapModel:
    """Fits the map by ridge regression; width and ridge are those with the smallest error on the last fifth.

    Args:
        orbit: (T, D) states, each coordinate scaled to unit variance.
        step: h, rows; 1 for a full state, a tenth of a period for a delay embedding (whose coordinates hardly move
            in one row).
        gaussians: number of centres, drawn from the data.
        jitter: spread of noise added to the inputs of two extra copies of the data; damps directions in which the
            data have no extent.
        seed: of centres and jitter.

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
    if jitter > 0:
        goal = goal + test
        test = test + jitter * rng.standard_normal(test.shape)
        goal = goal - test
        inputs = np.concatenate([z + jitter * rng.standard_normal(z.shape) for _ in range(2)])
        target = np.concatenate([z + target] * 2) - inputs
        z = inputs
    best: MapModel | None = None
    for width in WIDTHS:
        features = Features(centres, width * float(np.sqrt(z.shape[1])))
        shown = features.values(test)
        for weights in _solve(features.values(z), target, RIDGES):
            error = float(((goal - shown @ weights) ** 2).mean()) / variance
            if best is None or error < best.error:
                best = MapModel(features, weights, step, error, linear_error)
    assert best is not None
    return best


@dataclass(frozen=True, eq=False)
class MapExponent:
    """Growth of a tangent vector along the data.

    Args:
        exponent: nats per row, the mean over all blocks.
        parts: (G,) means over G blocks, in order of time.
    """

    exponent: float
    parts: Floats


def _tangents(orbit: Orbit, rows: Ints, directions: int) -> Floats:
    """(B, D, directions) orthonormal bases of the local tangent planes: principal axes of 30 near states."""
    library = orbit.z[:: max(1, orbit.length // 10_000)]
    cloud = library[near(library, orbit.z[rows], 30)]
    cloud = cloud - cloud.mean(axis=1, keepdims=True)
    _, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", cloud, cloud))
    return np.asarray(axes[:, :, -directions:], np.float64)


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
        planes = _tangents(orbit, rows.ravel(), directions).reshape(*rows.shape, orbit.z.shape[1], directions)
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
