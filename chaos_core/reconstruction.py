"""How to embed a series: lag and dimension, chosen from the data.

Reading order: `dominant_period` sets the clock, `theiler_window` and `estimate_lag` follow from it,
`estimate_dimension` counts how many delayed copies unfold the attractor.
"""

from typing import Literal

import numpy as np
import scipy

from chaos_core.embedding import Embedding, delay_embed, unit_variance
from chaos_core.typing import Floats, Ints

__all__ = [
    "MAP_PERIOD",
    "choose_embedding",
    "dominant_period",
    "estimate_dimension",
    "estimate_lag",
    "theiler_window",
]

LagSource = Literal["mutual_information", "autocorrelation"]

BINS = 32
MAP_PERIOD = 6.0
"""Fewer rows per period than this: the rows are those of a map (or of noise), not of a continuous motion."""

COARSE_PERIOD = 12.0
"""Fewer rows per period than this: successive rows tell enough apart for an embedding."""

DEEP = 0.8
"""A minimum of the mutual information counts below this share of its value at one row: on a pure oscillation, whose
past tells all of its future at any lag, the curve is flat and its minima are accidents."""

MAX_DIM = 8
SAME = 1e-3
"""Points closer than this, in standard deviations, are one point: periodic data come back to rounding errors."""

REFERENCES = 2000
CANDIDATES = 24


def _mean_frequency(x: Floats, segment: int) -> float:
    frequency, power = scipy.signal.welch(x, nperseg=min(segment, len(x)), axis=0)
    power = power.sum(axis=1)
    power[0] = 0.0
    return float((frequency * power).sum() / max(power.sum(), 1e-300))


def dominant_period(x: Floats) -> float:
    """Steps per swing: one over the power-weighted mean frequency of the channels, each scaled to unit variance.

    P = sum(S) / sum(f S), S the Welch spectrum without its mean. Maps and noise give 2 to 5, since their power
    reaches up to half a cycle per step. Segments of 2048 rows average the spectrum; where the period turns out
    longer than 128 rows they grow with it, so that a slow series is resolved too.

    Args:
        x: (T, N) observations without gaps.

    Returns:
        Period in steps, at least 2.

    Source: P. D. Welch (1967), doi:10.1109/TAU.1967.1161901.
    """
    scaled = unit_variance(x)
    period = 1.0 / max(_mean_frequency(scaled, 2048), 1.0 / len(x))
    if period > 128 and len(x) > 2048:
        period = 1.0 / max(_mean_frequency(scaled, int(16 * period)), 1.0 / len(x))
    return max(2.0, float(period))


def theiler_window(period: float) -> int:
    """Rows around a point that are its own past and future rather than neighbours: one period, at least 2.

    Source: J. Theiler (1986), doi:10.1103/PhysRevA.34.2427.
    """
    return max(2, int(np.ceil(period)))


def _autocorrelation_lag(x: Floats, longest: int) -> int:
    centred = x - x.mean(axis=0)
    spectrum = np.abs(np.fft.rfft(centred, 2 * len(x), axis=0)) ** 2
    correlation = np.fft.irfft(spectrum.sum(axis=1))[: longest + 1]
    below = np.flatnonzero(correlation < correlation[0] / np.e)
    return int(below[0]) if below.size else longest


def _information(ranks: Ints, lag: int) -> float:
    pairs = np.bincount(ranks[:-lag] * BINS + ranks[lag:], minlength=BINS * BINS).reshape(BINS, BINS)
    joint = pairs / pairs.sum()
    product = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    there = joint > 0
    return float((joint[there] * np.log(joint[there] / product[there])).sum())


def _information_lag(x: Floats, longest: int) -> int | None:
    ranks = np.argsort(np.argsort(x, kind="stable")) * BINS // len(x)
    first = before = here = _information(ranks, 1)
    for lag in range(2, longest + 1):
        after = _information(ranks, lag)
        if after > here <= before and here < DEEP * first:
            return lag - 1
        before, here = here, after
    return None


def estimate_lag(x: Floats, period: float) -> tuple[int, LagSource]:
    """The delay between copies, steps: the first minimum of the mutual information or the 1/e decay, the shorter.

    Mutual information is counted in 32 x 32 cells of equal occupation, channel by channel, and the median taken;
    the autocorrelation is that of all channels together. Lags up to one period are looked at.

    Args:
        x: (T, N) observations without gaps.
        period: dominant period, steps.

    Returns:
        (lag, which of the two it came from); lag at least 1.

    Source: A. M. Fraser, H. L. Swinney (1986), doi:10.1103/PhysRevA.33.1134.
    """
    longest = max(1, min(len(x) // 4, int(np.ceil(period))))
    decay = _autocorrelation_lag(x, longest)
    minima = [_information_lag(x[:, column], longest) for column in range(x.shape[1])]
    found = sorted(minimum for minimum in minima if minimum is not None)
    if found and found[len(found) // 2] <= decay:
        return max(1, found[len(found) // 2]), "mutual_information"
    return max(1, decay), "autocorrelation"


def _false_share(x: Floats, embedding: Embedding, theiler: int) -> float:
    """Share of points whose nearest neighbour goes away once the next row is looked at too."""
    wider = delay_embed(x, Embedding(dim=embedding.dim + 1, lag=embedding.lag))
    rows = np.sort(np.unique(np.round(wider[:, x.shape[1] :] / SAME), axis=0, return_index=True)[1])
    extra, z = wider[rows, : x.shape[1]], wider[rows, x.shape[1] :]
    references = np.linspace(0, len(z) - 1, min(REFERENCES, len(z))).astype(np.int64)
    distance, index = scipy.spatial.cKDTree(z).query(z[references], k=min(CANDIDATES, len(z)))
    apart = np.abs(rows[index] - rows[references, None])
    allowed = apart > (theiler if (apart > theiler).any() else 0)
    pick = allowed.argmax(axis=1)
    kept = np.flatnonzero(allowed.any(axis=1))
    if kept.size == 0:
        return 0.0
    here, there = references[kept], index[kept, pick[kept]]
    near = distance[kept, pick[kept]]
    gap = np.linalg.norm(extra[here] - extra[there], axis=1)
    return float(np.mean((gap > 10 * near) | (np.hypot(gap, near) > 2 * np.sqrt(x.shape[1]))))


def estimate_dimension(x: Floats, lag: int, theiler: int) -> int:
    """Copies of each channel that unfold the attractor: the first dimension with fewer than 0.5 % false neighbours.

    A neighbour is false when the next row parts the two by more than ten times their distance, or by more than
    twice the spread of the data. The next row, not an older one: a map that folds has no unique past. Where noise
    keeps the share above 0.5 %, the first dimension within one per cent of the smallest share is taken.

    Args:
        x: (T, N) observations without gaps, T up to some ten thousand.
        lag: steps between copies.
        theiler: rows around a point that do not count as neighbours.

    Returns:
        Dimension from 1 to 8: the more copies, the more data a model of them needs.

    Source: M. B. Kennel, R. Brown, H. D. I. Abarbanel (1992), doi:10.1103/PhysRevA.45.3403.
    """
    scaled = unit_variance(x)
    shares: list[float] = []
    for dim in range(1, MAX_DIM + 1):
        if len(x) <= dim * lag + 2 * theiler:
            break
        shares.append(_false_share(scaled, Embedding(dim=dim, lag=lag), theiler))
        if shares[-1] < 0.005:
            return dim
    return 1 + next((i for i, share in enumerate(shares) if share <= min(shares) + 0.01), 0)


def choose_embedding(x: Floats, period: float, theiler: int) -> Embedding:
    """Lag and dimension for observations that are not the whole state.

    Maps, and flows with fewer than 12 rows per period, take lag 1: successive rows of these tell enough apart, and
    a longer lag would throw the finest structure away. Such a coarse flow also takes at least as many copies as a
    period has rows (6.4 rows give 7), so that the state sees one whole swing.

    Args:
        x: (T, N) observations without gaps.
        period: dominant period, steps.
        theiler: rows around a point that do not count as neighbours.
    """
    coarse = period < COARSE_PERIOD
    lag = 1 if coarse else estimate_lag(x, period)[0]
    dim = estimate_dimension(x, lag, theiler)
    if coarse and period >= MAP_PERIOD:
        dim = min(MAX_DIM, max(dim, int(np.ceil(period))))
    return Embedding(dim=dim, lag=lag)
