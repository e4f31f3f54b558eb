"""Bridges over short gaps, for all that needs rows without a break: analysis, free runs, scores. Training does not."""

from itertools import pairwise

import numpy as np
import scipy

from chaos_core.reconstruction import dominant_period
from chaos_core.series import Series
from chaos_core.typing import Floats

__all__ = ["bridged"]

GAPS_PER_PERIOD = 8
"""A bridge over an eighth of a swing is a matter of interpolation; over more, of guessing."""

LEAST_KNOWN = 4


def bridged(series: Series) -> tuple[Series, int]:
    """Fills gaps of up to an eighth of the dominant period by cubic splines, channel by channel.

    The period is that of the longest stretch with all its gaps filled by straight lines. Iterates of a map, and flows
    with fewer than 8 rows a period, are left as they are: between their rows nothing can be interpolated.

    Args:
        series: with or without gaps.

    Returns:
        The series, with longer gaps left open, and the longest gap that was bridged, rows; the very same series and
        0 where nothing is missing.

    Source: C. de Boor (1978), A Practical Guide to Splines, Springer (cubic splines, not-a-knot ends).
    """
    if not series.mask.any():
        return series, 0
    edges = [0, *(np.flatnonzero(np.diff(series.stretch)) + 1).tolist(), series.length]
    pieces = [slice(a, b) for a, b in pairwise(edges)]
    longest = max(pieces, key=lambda piece: piece.stop - piece.start)
    limit = int(dominant_period(_straight(series.x[longest])) / GAPS_PER_PERIOD)
    if limit < 1:
        return series, 0
    x = series.x.copy()
    short = series.mask & (series.gap_lengths() <= limit)
    for piece in pieces:
        for column in range(series.channels):
            _bridge(x[piece, column], short[piece, column])
    return series.with_entries(x), limit


def _straight(x: Floats) -> Floats:
    filled = np.zeros_like(x)
    rows = np.arange(len(x))
    for column in range(x.shape[1]):
        known = np.flatnonzero(np.isfinite(x[:, column]))
        if known.size:
            filled[:, column] = np.interp(rows, known, x[known, column])
    return filled


def _bridge(x: Floats, short: np.ndarray) -> None:
    """Fills the entries of one channel that are marked and lie between measured ones, in place."""
    known = np.flatnonzero(np.isfinite(x))
    if known.size < LEAST_KNOWN:
        return
    inside = np.flatnonzero(short)
    inside = inside[(inside > known[0]) & (inside < known[-1])]
    if inside.size:
        x[inside] = scipy.interpolate.CubicSpline(known, x[known])(inside)
