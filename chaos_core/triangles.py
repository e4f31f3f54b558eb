"""Fewer points of a long curve, chosen by the triangles that they span."""

from itertools import pairwise

import numpy as np

from chaos_core.typing import Floats, Ints

__all__ = ["largest_triangles"]


def largest_triangles(values: Floats, most: int) -> Ints:
    """Places of the values to keep, in order: both ends, and of each stretch the value that stands out most.

    The inner values are cut into most - 2 stretches of equal length (to one). Of each the one is kept that spans the
    largest triangle with the value kept before and the mean of the next stretch, |(c - a) x (b - a)| / 2. Only finite
    values count; a stretch without one keeps its first, so that a gap is seen as one.

    Args:
        values: (n,), not finite where there is no number.
        most: how many may stay, at least `thinning.FEWEST`.

    Returns:
        (k,) places in rising order, k <= most. The same values give the same places.

    Source: "largest triangle three buckets", Steinarsson (2013), Downsampling Time Series for Visual Representation,
        University of Iceland, https://hdl.handle.net/1946/15343.
    Differs: values that are not finite are left out of the means, and a stretch of such is passed over.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    edges = 1 + np.arange(most - 1) * (count - 2) // (most - 2)
    finite = np.isfinite(values)
    means, counts = _means(values, finite, edges)
    known = np.flatnonzero(counts)
    kept = [0]
    before = (0.0, float(values[0])) if finite[0] else None
    for at, (start, stop) in enumerate(pairwise(edges)):
        places = start + np.flatnonzero(finite[start:stop])
        if not places.size:
            kept.append(int(start))
            continue
        ahead = known[np.searchsorted(known, at, side="right") :]
        best = int(places[0])
        if before is not None and ahead.size:
            run, rise = means[ahead[0]] - before
            areas = np.abs(run * (values[places] - before[1]) - (places - before[0]) * rise)
            best = int(places[np.argmax(areas)])
        kept.append(best)
        before = (float(best), float(values[best]))
    return np.array([*kept, count - 1])


def _means(values: Floats, finite: np.ndarray[tuple[int], np.dtype[np.bool_]], edges: Ints) -> tuple[Floats, Ints]:
    """(stretches + 1, 2) mean place and mean value of the finite values of each stretch, the last value being one of
    its own; and how many there are."""
    last = len(values) - 1
    numbers = np.where(finite, values, 0.0)
    starts = edges[:-1]
    counts = np.append(np.add.reduceat(finite[:last].astype(np.int64), starts), int(finite[last]))
    places = np.append(np.add.reduceat(np.where(finite, np.arange(last + 1), 0)[:last], starts), last * finite[last])
    sums = np.append(np.add.reduceat(numbers[:last], starts), numbers[last])
    means: Floats = np.stack([places, sums], axis=1) / np.maximum(counts, 1)[:, None]
    return means, counts
