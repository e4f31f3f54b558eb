"""D_stsp: how far the generated orbit's distribution over state space is from the true one."""

from typing import Any, NamedTuple

import numpy as np

from chaos_core.metrics.base import Metric
from chaos_core.metrics.mixture import mixture_divergence
from chaos_core.metrics.presets import Binning, Preset, preset_named
from chaos_core.metrics.score import Outcome, Score, first_gap, score_with_floor, still_channel, two_series
from chaos_core.typing import Floats, Ints

__all__ = ["D_STSP", "BinnedTruth", "d_stsp"]

FEW_CELLS = 100_000


class Histogram(NamedTuple):
    """Occupied cells only: their indices (ascending) and counts."""

    cells: Ints
    counts: Floats
    inside: int


def d_stsp(
    true: Any, generated: Any, *, preset: str = "dsr-v1", floor: bool = True, seed: int | np.random.Generator = 0
) -> Score:
    """State-space divergence: Kullback-Leibler divergence of two histograms, truth first; of mixtures in many channels.

    D_stsp = sum_i p_i ln(p_i / q_i), where p and q are the shares of cell i in `true` and in `generated`, with a
    small count added to every cell of the box. The box and the cells come from `true` alone. Values of 15 and more
    mean "no overlap", whatever the distance. With more channels than the preset bins, where nearly all cells would be
    empty, it is the divergence of two mixtures of Gaussians, `d_stsp_gmm`; `detail["method"]` says which of the two,
    whose values cannot be compared with each other.

    The order of the rows does not matter: a shuffled truth scores 0, so read it together with `d_h`.

    Args:
        true: (T, N) or (T,) observations, in any unit.
        generated: (T', N) or (T',), a free run in the same unit. T' may differ from T; the floor is measured at
            T / 2, and short series have high floors (Lorenz-63, 30 cells per channel: 0.8 at 10 000 rows, 0.03 at
            100 000).
        preset: the settings; "dsr-v1" by default, since its box contains the whole truth.
        floor: False leaves the floor out, for comparisons by the thousand.
        seed: of the random points of mixtures; histograms need none.

    Returns:
        Score in nats. `value` is None where a series holds a non-finite entry, where no row of one of them lies in
        the box, where a channel of the truth is constant, or where the preset bins fewer channels and has no mixture. A
        constant `generated` has a value (it occupies one cell).

    Raises:
        UnknownKind: no preset of that name.
        Inconsistent, BadShape: the series do not fit together.

    Source: Koppe et al. (2019), Identifying nonlinear dynamical systems via generative recurrent neural networks,
        doi:10.1371/journal.pcbi.1007263; settings: see `PRESETS`; mixtures: see `d_stsp_gmm`.
    Differs: counts do not wrap at 65 536 as the 16-bit ones of preset gtf's code do.
    """
    chosen = preset_named(preset)
    truth, run = two_series(true, generated)

    def measure(one: Floats, other: Floats) -> Outcome:
        if one.shape[1] > len(chosen.binning.bins) and chosen.mixture is not None:
            return mixture_divergence(one, other, chosen, seed)
        return BinnedTruth(one, chosen).divergence(other)

    return score_with_floor(measure, truth, run, floor=floor)


class BinnedTruth:
    """The true series of D_stsp in its cells, for comparisons by the thousand: what depends on it alone is done once.

    Args:
        true: (T, N) observations.
        preset: the settings; its binning must know N channels, else every comparison is undefined.
    """

    def __init__(self, true: Floats, preset: Preset) -> None:
        self._true, self._preset = true, preset
        channels = true.shape[1]
        self._reason = _unusable(true, channels, preset)
        if self._reason is None:
            self._bins = preset.binning.bins[channels - 1]
            self._low, self._high = _box(true, preset.binning)
            with np.errstate(over="ignore", invalid="ignore"):
                span = self._high - self._low
            if not (np.isfinite(span).all() and (span > 0).all()):
                self._reason = "the true series is too large or too small for a box"
        if self._reason is None:
            self._p = self._counted(true)

    def divergence(self, generated: Floats) -> Outcome:
        """D_stsp of a run (T', N); see `d_stsp` for where there is none."""
        reason = self._reason or _empty(generated) or first_gap(generated, "generated")
        if reason is not None:
            return Outcome.undefined(reason, preset=self._preset.name)
        p, q = self._p, self._counted(generated)
        detail: dict[str, Any] = {
            "preset": self._preset.name,
            "method": "binned",
            "bins": self._bins,
            "box_low": self._low.tolist(),
            "box_high": self._high.tolist(),
            "share_inside_true": p.inside / len(self._true),
            "share_inside_generated": q.inside / len(generated),
        }
        for histogram, role in ((p, "true"), (q, "generated")):
            if histogram.inside == 0:
                return Outcome(None, f"no row of {role} lies in the histogram's box", detail)
        cells, smoothing = self._bins ** self._true.shape[1], self._preset.binning.smoothing
        return Outcome(_kullback_leibler(p, q, cells, smoothing), None, detail)

    def _counted(self, x: Floats) -> Histogram:
        return _histogram(x, self._low, self._high, self._bins, self._preset.binning)


def _unusable(true: Floats, channels: int, preset: Preset) -> str | None:
    if channels > len(preset.binning.bins):
        return (
            f"preset {preset.name} bins at most {len(preset.binning.bins)} channels and there are {channels}: "
            "in more dimensions nearly all cells are empty"
        )
    if len(true) < 2:
        return f"{len(true)} true rows are too few for histograms"
    return first_gap(true, "true") or still_channel(true, "true")


def _empty(generated: Floats) -> str | None:
    return None if len(generated) else "0 generated rows are too few for histograms"


def _box(true: Floats, binning: Binning) -> tuple[Floats, Floats]:
    columns = np.ascontiguousarray(true.T)
    with np.errstate(over="ignore", invalid="ignore"):
        reach = binning.margin * columns.std(axis=1, ddof=1)
        if binning.box == "zero":
            return -reach, reach
        return columns.min(axis=1) - reach, columns.max(axis=1) + reach


def _histogram(x: Floats, low: Floats, high: Floats, bins: int, binning: Binning) -> Histogram:
    """Counts rows per cell; a row outside the box in any channel is left out, as is the box's upper edge."""
    index = np.zeros(len(x), np.int64)
    inside = np.ones(len(x), np.bool_)
    for column in range(x.shape[1]):
        with np.errstate(over="ignore"):
            above, span = x[:, column] - low[column], high[column] - low[column]
            place = bins * above / span if binning.multiplies_first else above / span * bins
        inside &= (place >= binning.lowest_cell) & (place < bins)
        index = index * bins + np.where(inside, place, 0.0).astype(np.int64)
    cells, counts = _counted(index[inside], bins ** x.shape[1])
    return Histogram(cells, counts.astype(np.float64), int(inside.sum()))


def _counted(index: Ints, cells: int) -> tuple[Ints, Ints]:
    """The occupied cells in rising order with their counts; without sorting where the cells are few."""
    if cells > FEW_CELLS:
        return np.unique(index, return_counts=True)
    counts = np.bincount(index, minlength=cells)
    occupied = np.flatnonzero(counts)
    return occupied, counts[occupied]


def _kullback_leibler(p: Histogram, q: Histogram, cells: int, smoothing: float) -> float:
    """Divergence over all cells of the box; those empty in both histograms are equal terms, so they are multiplied."""
    occupied = np.union1d(p.cells, q.cells)
    p_count, q_count = np.zeros(len(occupied)), np.zeros(len(occupied))
    p_count[np.searchsorted(occupied, p.cells)] = p.counts
    q_count[np.searchsorted(occupied, q.cells)] = q.counts
    p_total, q_total = p.inside + smoothing * cells, q.inside + smoothing * cells
    p_share, q_share = (p_count + smoothing) / p_total, (q_count + smoothing) / q_total
    filled = float(np.sum(p_share * np.log(p_share / q_share)))
    empty = (cells - len(occupied)) * (smoothing / p_total) * float(np.log(q_total / p_total))
    return max(0.0, filled + empty)


D_STSP = Metric(measure=d_stsp, needs="free_run", better="low", unit="nats")
