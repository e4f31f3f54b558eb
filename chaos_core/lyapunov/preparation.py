"""From a series as it was sent to states that both estimators can use: runs, clock, noise, embedding, thinning."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chaos_core.embedding import Embedding, delay_embed, unit_variance
from chaos_core.errors import TooShort
from chaos_core.lyapunov.neighbours import Orbit
from chaos_core.lyapunov.noise import best_window, noise_levels, smooth
from chaos_core.reconstruction import MAP_PERIOD, choose_embedding, dominant_period, theiler_window
from chaos_core.series import Series
from chaos_core.typing import Floats

__all__ = ["Prepared", "prepare"]


ROWS_NEEDED = 200
MOST_ROWS = 120_000
MOST_STATES = 40_000
MOST_STATES_WIDE = 10_000
WIDE = 8
MOST_COORDINATES = 24
ROWS_PER_PERIOD = 40
FINE_PERIOD = 12.0
NOTABLE_NOISE = 0.005
WIDER = 1.5
"""Derivatives need a longer filter than the series itself does; measured on 24 flows with 2 % and 10 % noise."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A series made ready.

    Args:
        raw: (T, N) the longest complete run as it was sent.
        clean: (T, N) the same run, smoothed.
        orbit: states of all runs, every `stride`-th row, each coordinate scaled to unit variance.
        stride: rows of the series per row of the orbit.
        period: dominant period, rows of the series.
        levels: (N,) observation noise of each channel as a share of its standard deviation; 0 where there is none or
            where it cannot be told from the motion.
        window: rows of the smoothing filter, 1 for none.
        embedding: delay embedding that made the states.
        full_state: the channels themselves are the state.
        rows: rows of the series that were used.
        notes: what a reader should know, in plain sentences.
    """

    raw: Floats
    clean: Floats
    orbit: Orbit
    stride: int
    period: float
    levels: Floats
    window: int
    embedding: Embedding
    full_state: bool
    rows: int
    notes: tuple[str, ...]

    @property
    def noise(self) -> float:
        """Root mean square of the channels' noise shares."""
        return float(np.sqrt((self.levels**2).mean()))

    @property
    def orbit_period(self) -> float:
        """Dominant period in rows of the orbit."""
        return self.period / self.stride

    @property
    def is_flow(self) -> bool:
        """Whether successive rows follow a continuous motion."""
        return self.period >= MAP_PERIOD


def _usable_runs(series: Series) -> tuple[list[Floats], list[str]]:
    """Complete runs of useful length, the longest first to be kept when there are too many rows."""
    slices = series.runs(min_rows=2)
    longest = max((piece.stop - piece.start for piece in slices), default=0)
    if longest < ROWS_NEEDED:
        raise TooShort(
            f"the longest complete run has {longest} rows; an analysis needs {ROWS_NEEDED}",
            rows=longest,
            rows_needed=ROWS_NEEDED,
        )
    kept = [piece for piece in slices if piece.stop - piece.start >= max(ROWS_NEEDED, longest // 10)]
    runs, total = [], 0
    for piece in kept:
        room = MOST_ROWS - total
        if room < ROWS_NEEDED:
            break
        runs.append(series.x[piece][:room])
        total += len(runs[-1])
    notes = []
    if len(slices) > 1:
        notes.append(f"{len(runs)} of {len(slices)} complete runs were used; no path crosses from one to the next.")
    if total < series.length:
        notes.append(f"{total} of {series.length} rows were used.")
    return runs, notes


def _clean(runs: list[Floats]) -> tuple[list[Floats], Floats, int]:
    """Smooths all runs alike, as far as the noise found in the longest one demands."""
    longest = max(runs, key=len)[:MOST_STATES]
    none = np.zeros(longest.shape[1])
    period = dominant_period(longest)
    if period < FINE_PERIOD:
        return runs, none, 1
    levels = noise_levels(longest)
    if np.sqrt((levels**2).mean()) < NOTABLE_NOISE:
        return runs, none, 1
    window = best_window(longest, levels, int(period / 2))
    if window == 1:
        return runs, none, 1
    wider = int(WIDER * window) // 2 * 2 + 1
    return [smooth(run, wider) for run in runs], np.where(levels < NOTABLE_NOISE, 0.0, levels), wider


def _thin(states: Sequence[Floats], stride: int) -> list[Floats]:
    """Every `stride`-th row, and of very long runs the first part in proportion."""
    thin = [run[::stride] for run in states]
    most = MOST_STATES_WIDE if thin[0].shape[1] > WIDE else MOST_STATES
    share = min(1.0, most / sum(len(run) for run in thin))
    return [run[: max(2, int(share * len(run)))] for run in thin]


def _leading(z: Floats) -> tuple[Floats, float]:
    """The leading principal components of many coordinates, and the share of the variance that they hold."""
    variance, axes = np.linalg.eigh(z.T @ z / len(z))
    return z @ axes[:, -MOST_COORDINATES:], float(variance[-MOST_COORDINATES:].sum() / variance.sum())


def prepare(series: Series) -> Prepared:
    """Makes a series ready for the estimators.

    The scale and offset of each channel do not matter. Three and more channels are taken as the state; one channel,
    and two where they do not determine their own future, are delay-embedded. Finely sampled flows are thinned to
    some 40 rows per period after smoothing, since closer rows add no information about divergence.

    Args:
        series: any series; gaps and stretches bound the runs.

    Raises:
        TooShort: no complete run has 200 rows.

    Source: H. Kantz, T. Schreiber (2004), Nonlinear Time Series Analysis, Cambridge, doi:10.1017/CBO9780511755798.
    """
    raw, notes = _usable_runs(series)
    runs, levels, window = _clean(raw)
    longest = max(runs, key=len)[:MOST_STATES]
    period = dominant_period(longest)
    full_state = series.channels >= 3
    embedding = Embedding()
    if not full_state:
        sample = longest[: max(20_000, int(200 * period))][:MOST_STATES]
        embedding = choose_embedding(sample, period, theiler_window(period))
        full_state = embedding.dim == 1
    if window > 1:
        share = 100 * float(np.sqrt((levels**2).mean()))
        notes.append(f"Observation noise is about {share:.2g} % of the signal's spread; smoothed over {window} rows.")
    stride = max(1, round(period / ROWS_PER_PERIOD))
    embedded = [delay_embed(run, embedding) for run in runs if len(run) > embedding.rows_lost + 2 * stride]
    states = _thin(embedded, stride)
    orbit = Orbit.of(states)
    z = unit_variance(orbit.z)
    if z.shape[1] > MOST_COORDINATES:
        z, kept = _leading(z)
        notes.append(
            f"The states were reduced to {MOST_COORDINATES} principal components, {100 * kept:.3g} % of the variance."
        )
    orbit = Orbit(z, orbit.room)
    rows = sum(len(run) for run in runs)
    return Prepared(
        max(raw, key=len),
        max(runs, key=len),
        orbit,
        stride,
        period,
        levels,
        window,
        embedding,
        full_state,
        rows,
        tuple(notes),
    )
