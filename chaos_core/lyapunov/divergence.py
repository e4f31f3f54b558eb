"""The divergence curve: how fast neighbours part."""

from dataclasses import dataclass

import numpy as np

from chaos_core.lyapunov.neighbours import Orbit, log_distances, nearest
from chaos_core.typing import Floats, Ints

__all__ = ["Divergence", "divergence", "scaling_region"]


REFERENCES = 6000
CLOSEST = 0.5
GROUPS = 20


@dataclass(frozen=True, eq=False)
class Divergence:
    """A divergence curve and its slope.

    Args:
        exponent: nats per row, the slope over the scaling region.
        parts: (G,) slopes of the same region for references from G successive parts of the series.
        curve: (H + 1,) S(k) for k = 0..H.
        saturation: the level S tends to, measured on pairs drawn at random.
        start: first k of the scaling region.
        stop: last k of the scaling region.
        rise: nats that S gains over the region; small where noise or saturation leaves no region.
    """

    exponent: float
    parts: Floats
    curve: Floats
    saturation: float
    start: int
    stop: int
    rise: float


def scaling_region(curve: Floats, saturation: float, period: float, margin: float, skip: float) -> tuple[int, int]:
    """First and last k between which S(k) grows as a straight line.

    It starts after `skip` periods, when the difference has turned into the most unstable direction, and stops where
    S comes within `margin` nats of saturation. If nothing is left, the last half period before saturation is taken.

    Args:
        curve: (H + 1,) S(k).
        saturation: level of unrelated pairs.
        period: rows per period; below 6 the rows are a map's and one step is skipped.
        margin: nats below saturation at which the bend begins.
        skip: periods to leave out.
    """
    flow = period >= 6
    start = round(skip * period) if flow else 1
    shortest = max(4, round(0.5 * period)) if flow else 3
    above = np.flatnonzero(curve[1:] > saturation - margin)
    stop = int(above[0]) + 1 if above.size else len(curve) - 1
    if stop - start < shortest:
        start = max(0, stop - shortest)
    if stop - start < 3:
        stop = min(len(curve) - 1, start + 4)
    return start, stop


def _slopes(curves: Floats, start: int, stop: int) -> Floats:
    k = np.arange(start, stop + 1) - 0.5 * (start + stop)
    return np.asarray((curves[..., start : stop + 1] * k).sum(axis=-1) / (k * k).sum(), np.float64)


def _saturation(orbit: Orbit, theiler: int) -> float:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, orbit.length, (2, 4000))
    apart = np.abs(first - second) > theiler
    distance = np.linalg.norm(orbit.z[first[apart]] - orbit.z[second[apart]], axis=1)
    return float(np.log(distance[distance > 0]).mean())


def _log_mean_distances(orbit: Orbit, here: Ints, there: Ints, horizon: int) -> Floats:
    """(R, horizon + 1) ln of the mean distance of the paths from `here` (R,) to those from `there` (R, K)."""
    logs = log_distances(orbit, here, there[:, 0], horizon)
    if there.shape[1] == 1:
        return logs
    total = np.exp(logs)
    for column in there.T[1:]:
        total += np.exp(log_distances(orbit, here, column, horizon))
    return np.asarray(np.log(total / there.shape[1]), np.float64)


def divergence(
    orbit: Orbit,
    period: float,
    theiler: int,
    *,
    neighbours: int = 1,
    margins: tuple[float, ...] = (1.2, 1.2),
    skips: tuple[float, ...] = (0.5, 1.0),
) -> Divergence | None:
    """Largest exponent as the slope of S(k) = <ln <|z_{i+k} - z_{j+k}|>_j>_i, j over the nearest neighbours of i.

    With one neighbour this is the curve of Rosenstein, with more that of Kantz: the mean over the neighbours of one
    reference is taken before the logarithm. Up to 6000 references spread over the series are followed for twelve
    periods (at most a quarter of the series); the half with the closer neighbours counts, since wide pairs saturate
    early and flatten the mean. The slope is the geometric mean over the given choices of the scaling region.

    Args:
        orbit: states, each coordinate scaled to unit variance.
        period: rows per period.
        theiler: rows around a reference that are not neighbours.
        neighbours: how many of each reference are followed. One, since the next ones are farther away and leave less
            room to grow in: on first coordinates of 67 flows (5000 rows) the median error is 0.105 with one, 0.21 with
            four and 0.31 with ten, and the order is the same with 2 and 10 % noise.
        margins: nats below saturation at which each region stops.
        skips: periods left out at the start of each region.

    Returns:
        None where too few references find so many neighbours.

    Source: M. T. Rosenstein, J. J. Collins, C. J. De Luca (1993), doi:10.1016/0167-2789(93)90009-P;
        H. Kantz (1994), doi:10.1016/0375-9601(94)90991-1.
    Differs: Kantz's neighbours are so many, not those within a radius; saturation is measured instead of guessed, and
        the region is found instead of chosen by eye.
    """
    horizon = int(min(orbit.room.max() // 4, max(20, 12 * period)))
    references = orbit.starts(horizon, REFERENCES)
    partners = nearest(orbit, references, theiler, horizon, neighbours)
    met = (partners >= 0).all(axis=1)
    here, there = references[met], partners[met]
    if len(here) < 2 * GROUPS or horizon < 5:
        return None
    gaps = np.linalg.norm(orbit.z[here] - orbit.z[there[:, -1]], axis=1)
    close = gaps <= np.quantile(gaps, CLOSEST)
    logs = _log_mean_distances(orbit, here[close], there[close], horizon)
    groups = np.array([np.nanmean(part, axis=0) for part in np.array_split(logs, GROUPS)])
    curve, saturation = np.nanmean(logs, axis=0), _saturation(orbit, theiler)
    regions = [scaling_region(curve, saturation, period, m, s) for m, s in zip(margins, skips, strict=True)]
    slopes = np.array([_slopes(curve, *region) for region in regions])
    parts = np.mean([_slopes(groups, *region) for region in regions], axis=0)
    exponent = float(np.exp(np.log(slopes).mean())) if (slopes > 0).all() else float(slopes.mean())
    start, stop = regions[0]
    return Divergence(exponent, parts, curve, saturation, start, stop, float(curve[stop] - curve[start]))
