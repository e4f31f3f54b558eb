"""How fast a fitted map lets small differences grow: along the data, and in runs of its own."""

from dataclasses import dataclass

import numpy as np

from chaos_core.lyapunov.map_model import MapModel
from chaos_core.lyapunov.neighbours import Orbit
from chaos_core.typing import Floats

__all__ = ["FreeGrowth", "MapExponent", "free_growth", "tangent_growth"]

MIN_BLOCKS = 8
FREE_RUNS = 32
ALIVE = 0.9
FAR_AWAY = 2.0


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
        states: (S, D) where the runs were.
    """

    spectrum: Floats
    states: Floats


def tangent_growth(orbit: Orbit, model: MapModel, *, block: int, burn_in: int, blocks: int = 40) -> MapExponent | None:
    """Pushes one tangent vector per block through the model's Jacobians along the data: mean of ln |J v|.

    Args:
        orbit: the states that the model was fitted to.
        model: the map.
        block: rows of each block that count.
        burn_in: rows before them, in which the vector turns into the most unstable direction.
        blocks: most blocks, evenly spread, as many as lie side by side in the series; several offsets are averaged
            where the model's step is above 1.

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
    v = np.full((len(starts), orbit.z.shape[1]), orbit.z.shape[1] ** -0.5)
    growth = np.zeros((len(starts), burn + count))
    for k in range(burn + count):
        v = v + model.features.along(orbit.z[rows[:, k]], v) @ model.weights
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


def free_growth(orbit: Orbit, model: MapModel, *, steps: int, burn_in: int, vectors: int = 1) -> FreeGrowth | None:
    """Lets the map run freely from 32 states spread over the data and pushes tangent vectors along each run.

    Where the map has the attractor of the data, these are the exponents of the map itself: errors of single Jacobians
    average out as they do not along the data, since the run stays on the map's own attractor.

    Args:
        orbit: the states that the model was fitted to.
        model: the map.
        steps: rows of each run that count.
        burn_in: rows before them.
        vectors: how many, each orthogonal to those before; as many exponents are found.

    Returns:
        None where more than a tenth of the runs leave the data by more than their extent.

    Source: G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn (1980), doi:10.1007/BF02128236.
    """
    h = model.step
    burn, count = -(-burn_in // h), max(1, steps // h)
    z = orbit.z[orbit.starts(0, FREE_RUNS)]
    bound = FAR_AWAY * np.abs(orbit.z).max(axis=0)
    v = np.random.default_rng(0).standard_normal((*z.shape, vectors))
    alive, growth = np.ones(len(z), bool), np.zeros((burn + count, len(z), vectors))
    states = np.zeros((burn + count, *z.shape))
    for k in range(burn + count):
        z[alive], slopes = model.next(z[alive])
        states[k] = z
        v[alive], growth[k, alive] = _orthonormal(slopes @ v[alive])
        alive &= (np.abs(z) <= bound).all(axis=1)
        if alive.mean() < ALIVE:
            return None
    parts = np.log(growth[burn:, alive]).mean(axis=0) / h
    ran = states[burn:, alive].reshape(-1, z.shape[1])
    return FreeGrowth(float(parts[:, 0].mean()), parts[:, 0], np.sort(parts.mean(axis=0))[::-1], ran)
