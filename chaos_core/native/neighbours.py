"""Nearest rows and the parting of paths by the native library; the twin is chaos_core.lyapunov.tree."""

import ctypes

import numpy as np

from chaos_core.native.loader import Library, library
from chaos_core.typing import Floats, Ints

__all__ = ["path_squares", "search"]

LANES = 16
"""Rows of a block, as in vector.hpp."""
AXIS_ROWS = 2000
"""The longest axis is that of so many rows; any axis gives the same answer."""
ROUNDING = 1e-13
"""Bounds the error of a place along the axis, per coordinate and unit of length, a hundredfold."""

SEARCH_SIZES = ("blocks", "dim", "points", "count", "window")
SEARCH_ARRAYS = ("states", "places", "rows", "z", "at", "own", "squares", "found")


class _SearchArguments(ctypes.Structure):
    """SearchArguments of neighbours.cpp, field by field; the loader compares the sizes."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in SEARCH_SIZES),
        *((name, ctypes.c_double) for name in ("above", "slack")),
        *((name, ctypes.c_void_p) for name in SEARCH_ARRAYS),
    )


class _PathArguments(ctypes.Structure):
    """PathArguments of neighbours.cpp, field by field."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("pairs", "steps", "dim", "rows")),
        *((name, ctypes.c_void_p) for name in ("columns", "here", "there", "squares")),
    )


def _longest_axis(z: Floats) -> Floats:
    some = z[:: max(1, len(z) // AXIS_ROWS)]
    some = some - some.mean(axis=0)
    return np.ascontiguousarray(np.linalg.eigh(some.T @ some)[1][:, -1])


def _blocks(z: Floats, rows: Ints, axis: Floats) -> tuple[Floats, Floats, Ints]:
    """States (blocks, D, LANES), places and rows (blocks * LANES,), sorted along the axis and padded."""
    place = (z @ axis)[rows]
    order = np.argsort(place)
    padded = -(-len(rows) // LANES) * LANES
    states, places, names = np.full((padded, z.shape[1]), np.inf), np.full(padded, np.inf), np.zeros(padded, np.int64)
    places[: len(rows)], names[: len(rows)] = place[order], rows[order]
    # With "clip" numpy writes into `out` at once: six times as fast as z[rows] of many rows.
    np.take(z, names[: len(rows)], axis=0, out=states[: len(rows)], mode="clip")
    return np.ascontiguousarray(states.reshape(-1, LANES, z.shape[1]).swapaxes(1, 2)), places, names


def search(
    z: Floats,
    rows: Ints,
    points: Floats,
    count: int,
    *,
    own: Ints | None = None,
    window: int = -1,
    kernels: Library | None = None,
) -> Ints | None:
    """The rows of a library that are nearest to each point: by the sum of squared differences, then by row.

    Args:
        z: (T, D) states, finite.
        rows: (S,) those of z that may be found, ascending.
        points: (R, D) states to find neighbours for, finite.
        count: how many for each, 1 or more.
        own: (R,) the rows of the points, where their past and future and states equal to them are to be left out;
            None leaves nothing out.
        window: rows i with |i - own| <= window are left out; means nothing without `own`.
        kernels: the library; by default the best one for this CPU. Tests name others.

    Returns:
        (R, count) rows of z, -1 where there are no more. None where no library is active: then
        chaos_core.lyapunov.tree.search gives the same.

    Raises:
        ValueError: a shape does not fit, or `count` is below 1.

    Source: J. H. Friedman, F. Baskett, L. J. Shustek (1975), An algorithm for finding nearest neighbors, IEEE
        Transactions on Computers C-24, 1000 (projection on one axis).
    """
    active = kernels or library()
    if active is None:
        return None
    if z.ndim != 2 or points.ndim != 2 or points.shape[1] != z.shape[1] or count < 1:
        raise ValueError(f"points must be (R, D) like z and count >= 1, got {points.shape}, {z.shape} and {count}")
    if own is not None and own.shape != (len(points),):
        raise ValueError(f"own must be ({len(points)},), got {own.shape}")
    found: Ints = np.full((len(points), count), -1, np.int64)
    if rows.size == 0 or len(points) == 0:
        return found
    z, points = np.asarray(z, np.float64), np.ascontiguousarray(points, np.float64)
    axis = _longest_axis(z)
    states, places, names = _blocks(z, rows, axis)
    mine = np.zeros(len(points), np.int64) if own is None else np.ascontiguousarray(own, np.int64)
    arrays = (states, places, names, points, points @ axis, mine, np.empty(count), found)
    above, window = (-1.0, -1) if own is None else (0.0, window)
    slack = ROUNDING * z.shape[1] * max(float(np.abs(z).max()), float(np.abs(points).max()))
    sizes = (len(states), z.shape[1], len(points), count, window)
    run = active.function("chaos_search", _SearchArguments, "chaos_search_bytes")
    run(ctypes.byref(_SearchArguments(*sizes, above, slack, *(array.ctypes.data for array in arrays))))
    return found


def path_squares(z: Floats, here: Ints, there: Ints, horizon: int, *, kernels: Library | None = None) -> Floats | None:
    """Squared distances |z[here + k] - z[there + k]|^2 along pairs of paths, k = 0..horizon.

    Args:
        z: (T, D) states.
        here: (R,) first rows.
        there: (R,) first rows of the other paths.
        horizon: last k, 0 or more.
        kernels: the library; by default the best one for this CPU. Tests name others.

    Returns:
        (R, horizon + 1), NaN where the two states are equal. None where no library is active: then
        chaos_core.lyapunov.tree.path_squares gives the same.

    Raises:
        ValueError: a shape does not fit.
        IndexError: a path leaves the rows of z.
    """
    active = kernels or library()
    if active is None:
        return None
    if z.ndim != 2 or here.ndim != 1 or here.shape != there.shape or horizon < 0:
        raise ValueError(f"here and there must be (R,) and horizon >= 0, got {here.shape}, {there.shape}, {horizon}")
    firsts = [np.ascontiguousarray(first, np.int64) for first in (here, there)]
    squares = np.empty((len(here), horizon + 1))
    if len(here) == 0:
        return squares
    if min(int(first.min()) for first in firsts) < 0 or max(int(first.max()) for first in firsts) >= len(z) - horizon:
        raise IndexError(f"a path of {horizon} steps leaves the {len(z)} rows")
    columns = np.ascontiguousarray(z.T, np.float64)
    addresses = [array.ctypes.data for array in (columns, *firsts, squares)]
    run = active.function("chaos_paths", _PathArguments, "chaos_paths_bytes")
    run(ctypes.byref(_PathArguments(len(here), horizon + 1, z.shape[1], len(z), *addresses)))
    return squares
