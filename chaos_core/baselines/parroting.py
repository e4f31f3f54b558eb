"""Context parroting: find where the series has been before, and repeat what followed then."""

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from chaos_core.errors import BadShape, NotFinite, TooShort
from chaos_core.typing import Floats

__all__ = ["WINDOW", "parrot", "parrot_ahead"]

WINDOW = 10
"""Rows that are compared; short enough to find a near match, long enough to tell rising from falling."""


def parrot(context: Any, steps: int, *, window: int = WINDOW) -> Floats:
    """Continues a series by repeating what followed the best match of its last rows.

    The match is the window at the smallest distance sum over rows and channels of (difference / std)^2 among those
    with at least min(steps, T / 2) rows after it; a match of an oversampled flow with itself one step earlier is so
    excluded. Where the copied piece ends, it is repeated from the match on.

    A long parrot replays truth: its D_stsp is excellent and says nothing about what was learnt. Compare forecasts
    and Lyapunov exponents instead.

    Args:
        context: (T, N) or (T,) observations in any unit.
        steps: rows to generate.
        window: rows to compare; at most a quarter of the context is used.

    Returns:
        (steps, N), row 0 being the first step after the context.

    Raises:
        TooShort: fewer than 4 rows.
        NotFinite, BadShape: the context holds a gap, or has more than two axes.

    Source: Zhang, Gilpin (2025), Context parroting: a simple but tough-to-beat baseline for foundation models in
        scientific machine learning, arXiv:2505.11349.
    Differs: all channels are matched at once, and matches without a long enough future are left out.
    """
    x = _checked(context)
    rows = len(x)
    width = min(window, rows // 4)
    future = max(1, min(max(steps, width), rows // 2))
    scaled = x / _spread(x)
    candidates = rows - width - future + 1
    distance = np.zeros(candidates)
    for place in range(width):
        gap = scaled[place : place + candidates] - scaled[rows - width + place]
        distance += np.einsum("ij,ij->i", gap, gap)
    copied = x[int(np.argmin(distance)) + width :]
    places = np.arange(steps) % len(copied)
    continued: Floats = copied[places]
    return continued


def parrot_ahead(context: Any, x: Any, n: int, *, window: int = WINDOW) -> Floats:
    """Forecasts every row of a test piece n steps ahead, each from the best match in the context.

    Args:
        context: (T, N) or (T,) observations to match against.
        x: (S, N) or (S,) the piece that follows directly after the context.
        n: steps ahead.
        window: rows to compare; at most a quarter of the context is used.

    Returns:
        (S, N): row t is the forecast of `x[t]` made n steps earlier, as `metrics.prediction_error` wants it; the
        first n rows are NaN.

    Raises:
        TooShort: the context has no window with n rows after it.
        NotFinite, BadShape: a series holds a gap, or has more than two axes.

    Source: as `parrot`.
    """
    past, piece = _checked(context), _checked(x)
    width = min(window, len(past) // 4)
    candidates = len(past) - width - n + 1
    if candidates < 1:
        raise TooShort(f"{len(past)} rows to look back at", rows=len(past), rows_needed=width + n)
    spread = _spread(past)
    tree = cKDTree(_windows(past / spread, width)[:candidates])
    joined = np.concatenate([past[len(past) - width + 1 :], piece]) / spread
    _, match = tree.query(_windows(joined, width)[: max(0, len(piece) - n)])
    forecast = np.full(piece.shape, np.nan)
    forecast[n:] = past[match + width - 1 + n]
    return forecast


def _checked(series: Any) -> Floats:
    array = np.asarray(series, dtype=np.float64)
    if array.ndim not in (1, 2):
        raise BadShape(f"an array of shape {array.shape} is not (T,) or (T, N)", shape=list(array.shape))
    x: Floats = array.reshape(len(array), -1)
    if len(x) < 4:
        raise TooShort(f"{len(x)} rows to look back at", rows=len(x), rows_needed=4)
    bad = np.argwhere(~np.isfinite(x))
    if bad.size:
        row, column = bad[0].tolist()
        raise NotFinite(f"row {row}, column {column} is not finite", row=row, column=f"x{column}")
    return x


def _spread(x: Floats) -> Floats:
    std = x.std(axis=0)
    scale: Floats = np.where(std > 0, std, 1.0)
    return scale


def _windows(x: Floats, width: int) -> Floats:
    """(T - width + 1, width * N): each row is a window laid flat."""
    view = np.lib.stride_tricks.sliding_window_view(x, width, axis=0)
    flat: Floats = view.reshape(len(view), -1)
    return flat
