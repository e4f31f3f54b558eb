"""Correlation dimension: how the number of near pairs of states grows with the distance that counts as near."""

import math
from typing import Any, NamedTuple

import numpy as np

from chaos_core.errors import Inconsistent
from chaos_core.metrics.base import Metric
from chaos_core.metrics.presets import preset_named
from chaos_core.metrics.score import Detail, Outcome, Score, first_gap, score_with_floor, two_series
from chaos_core.typing import Floats, Ints

__all__ = ["DIMENSION", "Dimension", "correlation_dimension", "correlation_dimension_difference"]

MOST_ROWS = 20_000
REFERENCES = 1000
PAIRS_AT_ONCE = 500_000
WIDTH = 0.1
"""Width of a bin of ln r."""
CLOSEST, FARTHEST = -30.0, 5.0
"""Range of ln r, r in units of the series' spread; what is nearer is the same point but for rounding."""
REACH = 2
"""A slope is taken over this many bins to either side, 0.4 in ln r together."""
FEWEST_PAIRS = 200
LARGEST_SHARE = 0.1
"""Beyond the share of pairs at which a tenth are near, the sum feels the attractor's edges."""
SHORTEST = 1.2
"""Least length of a scaling region in ln r: a factor of 3.3 in the distance."""
ALLOWED = 0.05
"""Allowed standard deviation of the slopes within a scaling region, as a share of their mean."""


MEMORIES = 3
"""Autocorrelation times after which a row no longer counts as a row's own past or future."""


class Dimension(NamedTuple):
    """A correlation dimension, or the reason why there is none.

    Args:
        value: slope of ln C over ln r in the scaling region; 0 for a point and for finitely many of them.
        spread: standard deviation of the local slopes within the region.
        region: its ends as distances, in units of the series' spread.
        theiler: rows around a row that were left out.
        reason: None where there is a value.
    """

    value: float | None
    spread: float | None
    region: tuple[float, float] | None
    theiler: int | None
    reason: str | None


def correlation_dimension(x: Any, *, theiler: int | None = None) -> Dimension:
    """Correlation dimension D_2 of the set that a series of states traces.

    C(r) = share of pairs of rows, more than `theiler` rows apart, whose Euclidean distance is at most r; D_2 is the
    slope of ln C(r) over ln r in the longest range of r in which the local slopes stay within 5 % of each other.

    Args:
        x: (T, N) or (T,) states; delay coordinates where a channel alone is no state. Of more than 20 000 rows the
            first are taken, against 1000 of them: 20 million pairs, whose D_2 is 5 % too low for noise in five
            channels.
        theiler: rows around a row that are its own past and future and would show the dimension 1 of the path. None
            takes three times the lag at which the autocorrelation has fallen to 1 / e.

    Returns:
        Value or reason. Channels are scaled to equal spread first, which does not change D_2.

    Raises:
        Inconsistent: theiler is negative.
        BadShape, NotReal: not an array of real numbers with one or two axes.

    Source: P. Grassberger, I. Procaccia (1983), Measuring the strangeness of strange attractors,
        doi:10.1016/0167-2789(83)90298-1; the rows left out: J. Theiler (1986), doi:10.1103/PhysRevA.34.2427.
    """
    if theiler is not None and theiler < 0:
        raise Inconsistent(f"theiler must not be negative, not {theiler}", theiler=theiler)
    states = two_series(x, x)[0][:MOST_ROWS]
    reason = first_gap(states, "the series") if len(states) else "there are no rows"
    if reason is not None:
        return Dimension(None, None, None, None, reason)
    with np.errstate(all="ignore"):
        spread = np.sqrt(np.mean((states - states.mean(axis=0)) ** 2, axis=0))
    if not np.isfinite(spread).all():
        return Dimension(None, None, None, None, "the series is too large for distances")
    moving = spread > 1e-12 * np.abs(states).max(axis=0)
    if not moving.any():
        return Dimension(0.0, 0.0, None, None, None)
    scaled = (states[:, moving] - states[:, moving].mean(axis=0)) / spread[moving]
    window = MEMORIES * _memory(scaled) if theiler is None else theiler
    counts = _pair_counts(scaled, window)
    return _slope(counts, window)


def _memory(x: Floats) -> int:
    """Lag, at least 1, at which the autocorrelation of (T, N), mean 0, summed over channels, falls below 1 / e."""
    spectrum = np.square(np.abs(np.fft.rfft(x, 2 * len(x), axis=0))).sum(axis=1)
    correlation = np.fft.irfft(spectrum)[: len(x)]
    below = np.flatnonzero(correlation < correlation[0] / math.e)
    return int(below[0]) if below.size else len(x)


def _pair_counts(x: Floats, theiler: int) -> Floats:
    """Pairs in bins of ln r; bin 0 also holds all that are nearer than its upper edge."""
    bins = round((FARTHEST - CLOSEST) / WIDTH)
    counts = np.zeros(bins)
    references: Ints = np.unique(np.linspace(0, len(x) - 1, min(REFERENCES, len(x))).astype(np.int64))
    rows = np.arange(len(x))
    for some in np.array_split(references, math.ceil(len(references) * len(x) / PAIRS_AT_ONCE)):
        squares = np.zeros((len(some), len(x)))
        for column in x.T:
            squares += np.square(column[some][:, None] - column)
        apart = squares[np.abs(some[:, None] - rows) > theiler]
        with np.errstate(divide="ignore"):
            places = (0.5 * np.log(apart) - CLOSEST) / WIDTH
        counts += np.bincount(np.clip(places, 0, bins - 1).astype(np.int64), minlength=bins)
    return counts


def _slope(counts: Floats, theiler: int) -> Dimension:
    total, near = counts.sum(), np.cumsum(counts)
    if total < FEWEST_PAIRS / LARGEST_SHARE:
        return Dimension(None, None, None, theiler, f"{int(total)} pairs of rows are too few for a dimension")
    if counts[0] > LARGEST_SHARE * total:
        return Dimension(0.0, 0.0, None, theiler, None)
    logs = np.log(np.maximum(near, 1.0))
    slopes = (logs[2 * REACH :] - logs[: -2 * REACH]) / (2 * REACH * WIDTH)
    usable = np.flatnonzero((near[: -2 * REACH] >= FEWEST_PAIRS) & (near[2 * REACH :] <= LARGEST_SHARE * total))
    if not usable.size:
        return Dimension(None, None, None, theiler, "too few rows are near each other for a scaling region")
    found = _longest_even(slopes[usable])
    if found is None:
        return Dimension(None, None, None, theiler, "no scaling region: the slope changes with the distance everywhere")
    first, last = found
    inside = slopes[usable[first : last + 1]]
    ends = (CLOSEST + (usable[place] + REACH + 1) * WIDTH for place in (first, last))
    low, high = (math.exp(end) for end in ends)
    return Dimension(float(inside.mean()), float(inside.std()), (low, high), theiler, None)


def _longest_even(slopes: Floats) -> tuple[int, int] | None:
    """First and last place of the longest stretch with nearly equal slopes; of equally long ones the most even."""
    sums, squares = (np.concatenate([[0.0], np.cumsum(slopes**power)]) for power in (1, 2))
    first, last = np.triu_indices(len(slopes), round(SHORTEST / WIDTH) - 1)
    size = last - first + 1
    mean = (sums[last + 1] - sums[first]) / size
    deviation = np.sqrt(np.maximum(0.0, (squares[last + 1] - squares[first]) / size - mean**2))
    even = np.flatnonzero(deviation <= ALLOWED * mean + 1e-6)
    if not even.size:
        return None
    best = even[np.lexsort((deviation[even], -size[even]))[0]]
    return int(first[best]), int(last[best])


def correlation_dimension_difference(
    true: Any, generated: Any, *, preset: str = "dsr-v1", floor: bool = True, theiler: int | None = None
) -> Score:
    """How far the correlation dimension of a free run is from that of the truth: |D_2(generated) - D_2(true)|.

    Args:
        true: (T, N) or (T,) states, as for `correlation_dimension`.
        generated: (T', N) or (T',), a free run.
        preset: all presets define it in the same way.
        floor: False leaves the floor out.
        theiler: as for `correlation_dimension`.

    Returns:
        Score, dimensionless. `detail` holds both dimensions with their spreads. A difference below the spreads says
        nothing. `value` is None where one of them has no dimension, with its reason.

    Raises:
        UnknownKind: no preset of that name.
        Inconsistent, BadShape: the series do not fit together, or theiler is negative.

    Source: as for `correlation_dimension`.
    """
    chosen = preset_named(preset)
    truth, run = two_series(true, generated)

    def measure(one: Floats, other: Floats) -> Outcome:
        found = {role: correlation_dimension(x, theiler=theiler) for x, role in ((one, "true"), (other, "generated"))}
        detail: Detail = {"preset": chosen.name}
        for role, dimension in found.items():
            detail |= {f"dimension_{role}": dimension.value, f"spread_{role}": dimension.spread}
            detail[f"theiler_{role}"] = dimension.theiler
        for role, dimension in found.items():
            if dimension.reason is not None:
                return Outcome(None, f"{role}: {dimension.reason}", detail)
        value = abs((found["generated"].value or 0.0) - (found["true"].value or 0.0))
        return Outcome(value, None, detail)

    return score_with_floor(measure, truth, run, floor=floor)


DIMENSION = Metric(measure=correlation_dimension_difference, needs="free_run", better="low", unit="none")
