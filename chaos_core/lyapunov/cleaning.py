"""From runs as they were sent to few, scaled rows without noise.

Source: for the filter and for what the map adds to it: chaos_core.lyapunov.noise, chaos_core.lyapunov.denoising.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chaos_core.embedding import Embedding, unit_variance
from chaos_core.lyapunov.denoising import denoise
from chaos_core.lyapunov.map_model import ROUGH_ROWS, fit_map
from chaos_core.lyapunov.neighbours import Orbit
from chaos_core.lyapunov.noise import best_window, noise_levels, passed_share, smooth
from chaos_core.reconstruction import dominant_period
from chaos_core.typing import Floats

__all__ = [
    "DIRECTIONS",
    "FINE_PERIOD",
    "FULL_STATE",
    "Cleaned",
    "Filtered",
    "clean_runs",
    "filter_runs",
    "map_embedding",
    "thinning",
    "unfiltered",
]

FULL_STATE = 3
"""So many channels are taken for the whole state; fewer may need delayed copies."""

DIRECTIONS = 3
"""Local directions of the motion where the coordinates are delays: two along the sheet of the attractor and one for
what makes it more than a sheet. Projected on two, exponents come out a third to a half too small."""

MOST_ROWS = 16_000
WIDE = 8
FINE_PERIOD = 12.0
ROWS_PER_PERIOD = 40
NOTABLE_NOISE = 0.005
COPIES = 6
MOST_MOVED = 1.5
LAG_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Filtered:
    """Runs before and after a common filter.

    Args:
        noisy: (T_i, N) as they were sent.
        runs: (T_i, N) filtered.
        levels: (N,) noise of each channel as a share of its spread.
        window: rows of the filter, 1 for none.
    """

    noisy: Sequence[Floats]
    runs: Sequence[Floats]
    levels: Floats
    window: int

    @property
    def longest(self) -> Floats:
        """The longest filtered run."""
        return max(self.runs, key=len)


def thinning(period: float) -> int:
    """Rows of a series per row of its orbit: closer than 40 a period they add nothing about divergence."""
    return max(1, round(period / ROWS_PER_PERIOD))


def map_embedding(channels: int, period: float, copies: int = COPIES, share: float = LAG_SHARE) -> Embedding:
    """Delayed copies (shared among the channels), a part of a period apart: what one map of a flow needs.

    Closer than an embedding for the eye, which unfolds the attractor as far as it can: a map has to tell apart what
    differs, and the further past, the more it folds. Measured on every second one of 67 flows.

    Args:
        channels: N.
        period: rows per period.
        copies: of a single channel.
        share: of a period, between copies.
    """
    return Embedding(dim=max(2, -(-copies // channels)), lag=max(1, round(share * period)))


def _missed_by_a_map(x: Floats, period: float) -> float:
    """Root mean square of what a map from each row's past misses of the next row: an upper bound of the noise."""
    embedding = Embedding() if x.shape[1] >= FULL_STATE else map_embedding(x.shape[1], period)
    return float(np.sqrt(fit_map(Orbit.embedded([x], embedding), 1, rows=ROUGH_ROWS).error))


def unfiltered(runs: Sequence[Floats]) -> Filtered:
    """The runs (T_i, N) as they are, taken to hold no noise."""
    return Filtered(runs, runs, np.zeros(runs[0].shape[1]), 1)


def filter_runs(runs: Sequence[Floats], period: float | None = None) -> Filtered:
    """Filters all runs alike, as far as the noise found in the longest one demands.

    Power at high frequencies is noise only as far as no map foretells it.

    Args:
        runs: (T_i, N) complete runs.
        period: rows per period; measured where it is left out.
    """
    longest = max(runs, key=len)[:MOST_ROWS]
    period = dominant_period(longest) if period is None else period
    nothing = unfiltered(runs)
    if period < FINE_PERIOD:
        return nothing
    levels = noise_levels(longest)
    level = float(np.sqrt((levels**2).mean()))
    if level < NOTABLE_NOISE:
        return nothing
    stride = thinning(period)
    levels *= min(1.0, _missed_by_a_map(unit_variance(longest)[::stride], period / stride) / level)
    if np.sqrt((levels**2).mean()) < NOTABLE_NOISE:
        return nothing
    window = best_window(longest, levels, int(period / 2))
    if stride > 1:
        window = max(window, stride // 2 * 2 + 1)
    return Filtered(runs, [smooth(run, window) for run in runs], np.where(levels < NOTABLE_NOISE, 0.0, levels), window)


def _scaled(runs: Sequence[Floats], like: Floats) -> list[Floats]:
    spread = like.std(axis=0)
    return [(run - like.mean(axis=0)) / np.where(spread > 0, spread, 1.0) for run in runs]


@dataclass(frozen=True, eq=False)
class Cleaned:
    """Every `stride`-th row of all runs, each channel scaled to unit variance.

    Args:
        filtered: (T_i, N) as the filter left them.
        runs: (T_i, N) denoised; of noisy ones 16 000 rows in all.
    """

    filtered: list[Floats]
    runs: list[Floats]


def clean_runs(filtered: Filtered, period: float, stride: int, *, delays: bool) -> Cleaned:
    """Thins and scales; denoises where there is noise, and there are at most eight channels.

    What had to be moved by far more than the noise, to agree with one map, does not follow one: it stays as it was.

    Args:
        filtered: the runs.
        period: rows per period.
        stride: every so many rows are kept.
        delays: whether the next row needs delayed copies.
    """
    runs = [run[::stride] for run in _scaled(filtered.runs, filtered.longest)]
    if not filtered.levels.any() or runs[0].shape[1] > WIDE:
        return Cleaned(runs, runs)
    levels, noisy = filtered.levels, [run[::stride] for run in _scaled(filtered.noisy, filtered.longest)]
    if stride > 1:
        noisy, levels = runs, levels * np.sqrt(passed_share(filtered.window))
    embedding = map_embedding(runs[0].shape[1], period / stride) if delays else Embedding()
    share = min(1.0, MOST_ROWS / sum(len(run) for run in runs))
    kept = [i for i, run in enumerate(runs) if int(share * len(run)) > embedding.rows_lost + 20]
    starts, observed = ([many[i][: int(share * len(many[i]))] for i in kept] for many in (runs, noisy))
    found = denoise(observed, starts, embedding, levels, DIRECTIONS if delays else None)
    moved = np.concatenate([x - y for x, y in zip(found, observed, strict=True)])
    return Cleaned(runs, found if np.sqrt((moved**2).mean()) < MOST_MOVED * np.sqrt((levels**2).mean()) else runs)
