"""Nearest rows by the k-d tree of scipy and the parting of paths in numpy: the twin of chaos_core.native.neighbours."""

import numpy as np
import scipy

from chaos_core.typing import Floats, Ints

__all__ = ["path_squares", "search"]

MOST_ASKED = 512
"""Beyond so many candidates a look at all rows costs less than the tree."""
MOST_AT_ONCE = 1_000_000
"""Candidates of all points that are held in memory together."""
SAFE = 1 - 1e-9
"""The tree adds squares in another order; what lies farther than this share of its reach cannot be missing."""


def _squares(z: Floats, rows: Ints, points: Floats) -> Floats:
    """(B, K) squared distances of z[rows] (B, K) from points (B, D), added coordinate by coordinate."""
    total = np.zeros(rows.shape)
    for d in range(z.shape[1]):
        total += (z[rows, d] - points[:, d, None]) ** 2
    return total


def _asked(tree: "scipy.spatial.cKDTree", rows: Ints, points: Floats, size: int) -> tuple[Ints, Floats]:
    """(B, size) near rows of each point, and the square within which none is missing; all rows where size says so."""
    if size == rows.size:
        return np.broadcast_to(rows, (len(points), size)), np.full(len(points), np.inf)
    distance, index = tree.query(points, k=size)
    return rows[index], SAFE * distance[:, -1] ** 2


def _first(rows: Ints, squares: Floats, count: int) -> tuple[Ints, Floats]:
    """The first `count` rows by square, then row, -1 where the square is inf; and the last of their squares."""
    order = np.lexsort((rows, squares))[:, :count]
    squares = np.take_along_axis(squares, order, axis=1)
    return np.where(np.isfinite(squares), np.take_along_axis(rows, order, axis=1), -1), squares[:, -1]


def search(z: Floats, rows: Ints, points: Floats, count: int, *, own: Ints | None = None, window: int = -1) -> Ints:
    """The rows of a library that are nearest to each point: by the sum of squared differences, then by row.

    More and more candidates are asked of the tree until all that are wanted lie safely within its reach, and at last
    all rows are looked at.

    Args:
        z: (T, D) states, finite.
        rows: (S,) those of z that may be found, ascending.
        points: (R, D) states to find neighbours for, finite.
        count: how many for each, 1 or more.
        own: (R,) the rows of the points, where their past and future and states equal to them are to be left out;
            None leaves nothing out.
        window: rows i with |i - own| <= window are left out; means nothing without `own`.

    Returns:
        (R, count) rows of z, -1 where there are no more.

    Source: J. L. Bentley (1975), Multidimensional binary search trees used for associative searching,
        doi:10.1145/361002.361007.
    """
    found: Ints = np.full((len(points), count), -1, np.int64)
    if rows.size == 0:
        return found
    open_ = np.arange(len(points))
    if own is not None:
        open_ = open_[np.maximum(own - rows[0], rows[-1] - own) > window]
    tree = scipy.spatial.cKDTree(z[rows])
    asked = count + 7
    while open_.size:
        everything = asked >= min(rows.size, MOST_ASKED)
        size = rows.size if everything else asked
        still_open = []
        for part in np.array_split(open_, -(-open_.size * size // MOST_AT_ONCE)):
            candidates, reach = _asked(tree, rows, points[part], size)
            squares = _squares(z, candidates, points[part])
            if own is not None:
                near_in_time = np.abs(candidates - own[part, None]) <= window
                squares[near_in_time | (squares == 0)] = np.inf
            nearest, last = _first(candidates, squares, count)
            found[part, : nearest.shape[1]] = nearest
            still_open.append(part[~(everything | (last < reach))])
        open_ = np.concatenate(still_open)
        asked *= 4
    return found


def path_squares(z: Floats, here: Ints, there: Ints, horizon: int) -> Floats:
    """Squared distances |z[here + k] - z[there + k]|^2 along pairs of paths, k = 0..horizon.

    Args:
        z: (T, D) states.
        here: (R,) first rows.
        there: (R,) first rows of the other paths.
        horizon: last k, 0 or more.

    Returns:
        (R, horizon + 1), NaN where the two states are equal.

    Raises:
        IndexError: a path leads beyond the last row of z.
    """
    squares = np.empty((len(here), horizon + 1))
    for k in range(horizon + 1):
        gap = z[here + k] - z[there + k]
        squares[:, k] = np.einsum("ij,ij->i", gap, gap)
    squares[squares == 0] = np.nan
    return squares
