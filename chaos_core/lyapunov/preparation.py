"""From a series as it was sent to states that both estimators can use: runs, clock, noise, embedding, thinning."""

from dataclasses import dataclass

import numpy as np

from chaos_core.embedding import Embedding
from chaos_core.errors import TooShort
from chaos_core.lyapunov.cleaning import DIRECTIONS, FULL_STATE, clean_runs, filter_runs, thinning
from chaos_core.lyapunov.neighbours import Orbit
from chaos_core.reconstruction import MAP_PERIOD, choose_embedding, dominant_period, theiler_window
from chaos_core.series import Series
from chaos_core.typing import Floats

__all__ = ["Prepared", "prepare"]


ROWS_NEEDED = 200
MOST_ROWS = 120_000
MOST_STATES = 40_000
MOST_COORDINATES = 24


@dataclass(frozen=True, eq=False)
class Prepared:
    """A series made ready.

    Args:
        raw: (T, N) the longest complete run as it was sent.
        clean: (T, N) the same run, filtered.
        filtered: (T_i, N) every `stride`-th row of all runs, scaled, as the filter left them.
        runs: (T_i, K) every `stride`-th row of all runs, scaled, without noise; K = N, or the leading principal
            components of very many channels.
        denoised: whether these two differ.
        orbit: the states that the runs make up.
        stride: rows of the series per row of the orbit.
        period: dominant period, rows of the series.
        levels: (N,) observation noise of each channel as a share of its standard deviation; 0 where there is none or
            where it cannot be told from the motion.
        window: rows of the filter, 1 for none.
        embedding: delay embedding that made the states.
        full_state: the channels themselves are the state.
        rows: rows of the series that were used.
        notes: what a reader should know, in plain sentences.
    """

    raw: Floats
    clean: Floats
    filtered: tuple[Floats, ...]
    runs: tuple[Floats, ...]
    denoised: bool
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

    @property
    def orbit_embedding(self) -> Embedding:
        """The delay embedding in rows of the orbit."""
        return Embedding(dim=self.embedding.dim, lag=max(1, round(self.embedding.lag / self.stride)))

    @property
    def directions(self) -> int | None:
        """Local directions of the motion where the coordinates are delays; None for a full state."""
        return None if self.full_state else DIRECTIONS


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


def _leading(runs: list[Floats]) -> tuple[list[Floats], float]:
    """The leading principal components of many channels, and the share of the variance that they hold."""
    z = np.concatenate(runs)
    variance, axes = np.linalg.eigh(z.T @ z / len(z))
    share = float(variance[-MOST_COORDINATES:].sum() / variance.sum())
    return [run @ axes[:, -MOST_COORDINATES:] for run in runs], share


def prepare(series: Series) -> Prepared:
    """Makes a series ready for the estimators.

    The scale and offset of each channel do not matter. Three and more channels are taken as the state; one channel,
    and two where they do not determine their own future, are delay-embedded. Finely sampled flows are thinned to
    some 40 rows per period after filtering, since closer rows add no information about divergence. Where there is
    observation noise, the rows are denoised with the map that they themselves suggest.

    Args:
        series: any series; gaps and stretches bound the runs.

    Raises:
        TooShort: no complete run has 200 rows.

    Source: H. Kantz, T. Schreiber (2004), Nonlinear Time Series Analysis, Cambridge, doi:10.1017/CBO9780511755798.
    """
    raw, notes = _usable_runs(series)
    filtered = filter_runs(raw)
    longest = filtered.longest[:MOST_STATES]
    period = dominant_period(longest)
    full_state = series.channels >= FULL_STATE
    embedding = Embedding()
    if not full_state:
        embedding = choose_embedding(longest, period, theiler_window(period))
        full_state = embedding.dim == 1
    if filtered.levels.any():
        share = 100 * float(np.sqrt((filtered.levels**2).mean()))
        notes.append(f"Observation noise of about {share:.2g} % of the signal's spread was taken away first.")
    cleaned = clean_runs(filtered, period, delays=not full_state)
    runs = cleaned.runs
    if series.channels > MOST_COORDINATES:
        runs, kept = _leading(runs)
        notes.append(
            f"The channels were reduced to {MOST_COORDINATES} principal components, {kept:.3g} of the variance."
        )
    stride = thinning(period)
    return Prepared(
        raw=max(raw, key=len),
        clean=filtered.longest,
        filtered=tuple(cleaned.filtered),
        runs=tuple(runs),
        denoised=cleaned.runs is not cleaned.filtered,
        orbit=Orbit.embedded(runs, Embedding(dim=embedding.dim, lag=max(1, round(embedding.lag / stride)))),
        stride=stride,
        period=period,
        levels=filtered.levels,
        window=filtered.window,
        embedding=embedding,
        full_state=full_state,
        rows=sum(len(run) for run in raw),
        notes=tuple(notes),
    )
