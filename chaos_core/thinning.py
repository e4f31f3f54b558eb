"""Fewer points of a long curve that look the same when drawn."""

from itertools import pairwise

import numpy as np

from chaos_core.typing import Floats, Ints

__all__ = ["FEWEST", "kept_places"]

FEWEST = 4
"""The two ends, the smallest and the largest value."""


def kept_places(values: Floats, most: int) -> Ints:
    """Places of the values to keep, in order: both ends, and the smallest and the largest value of each stretch.

    The inner values are cut into (most - 2) // 2 stretches of equal length (to one), so the extremes of the whole are
    always kept, and the same values give the same places. A stretch without a finite value keeps its first.

    Args:
        values: (n,), not finite where there is no number.
        most: how many may stay, at least FEWEST.

    Source: min-max aggregation as in Jugel et al. (2014), "M4", doi:10.14778/2732951.2732953.
    Differs: the ends of the whole are kept and not those of each stretch, for half the points.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    edges = np.linspace(1, count - 1, (most - 2) // 2 + 1).astype(int)
    finite = np.isfinite(values)
    low, high = np.where(finite, values, np.inf), np.where(finite, values, -np.inf)
    kept = {0, count - 1}
    for start, stop in pairwise(edges):
        kept |= {int(start + np.argmin(low[start:stop])), int(start + np.argmax(high[start:stop]))}
    return np.array(sorted(kept))
