"""How unlike two clouds of states are: whether a map's own runs fill the attractor of the data as the data do."""

from itertools import combinations

import numpy as np

from chaos_core.typing import Floats

__all__ = ["hellinger", "planes"]

MOST_BINS, LEAST_BINS = 16, 4
ROWS_FOR_MOST = 8000
"""Half as many bins along an axis for a quarter of the rows: so chance alone leaves about the same distance."""
MARGIN = 0.3
"""In standard deviations: what a run does just beyond the data falls into bins of its own."""


def planes(dim: int, *, delayed: bool) -> list[tuple[int, int]]:
    """Pairs of coordinates that clouds are compared in.

    Args:
        dim: D.
        delayed: the coordinates are one history, the newest first: it is compared with what was half of it ago and all
            of it. Else all pairs.
    """
    if dim == 1:
        return [(0, 0)]
    return sorted({(0, dim // 2), (0, dim - 1)}) if delayed else list(combinations(range(dim), 2))


def _histogram(x: Floats, edges: list[Floats]) -> Floats:
    first, second = (np.searchsorted(edge, column) for edge, column in zip(edges, x.T, strict=True))
    bins = len(edges[0]) + 1
    return np.asarray(np.bincount(first * bins + second, minlength=bins**2) / len(x), np.float64)


def hellinger(data: Floats, run: Floats, pairs: list[tuple[int, int]]) -> float:
    """Mean over planes of the Hellinger distance sqrt(1 - sum sqrt(p q)) of two histograms, 0 to 1.

    Args:
        data: (T, D) states, each coordinate of unit variance; they set the bins, sixteen along each axis from 8000 rows
            on.
        run: (S, D) other states.
        pairs: the planes.

    Source: E. Hellinger (1909), doi:10.1515/crll.1909.136.210.
    """
    bins = int(np.clip(round(MOST_BINS * (len(data) / ROWS_FOR_MOST) ** 0.5), LEAST_BINS, MOST_BINS))
    distances = []
    for pair in pairs:
        seen, ran = data[:, pair], run[:, pair]
        edges = [np.linspace(column.min() - MARGIN, column.max() + MARGIN, bins + 1) for column in seen.T]
        overlap = np.sqrt(_histogram(seen, edges) * _histogram(ran, edges)).sum()
        distances.append(np.sqrt(max(0.0, 1 - float(overlap))))
    return float(np.mean(distances))
