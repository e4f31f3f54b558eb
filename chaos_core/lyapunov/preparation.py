"""From a series as it was sent to states that both estimators can use: runs, clock, noise, embedding, thinning."""

from dataclasses import dataclass

import numpy as np

from chaos_core.analysis_options import AUTOMATIC, AnalysisOptions
from chaos_core.embedding import Embedding
from chaos_core.errors import Inconsistent, TooShort
from chaos_core.gaps import bridged
from chaos_core.lyapunov.cleaning import (
    DIRECTIONS,
    FINE_PERIOD,
    FULL_STATE,
    Cleaned,
    Filtered,
    clean_runs,
    filter_runs,
    thinning,
    unfiltered,
)
from chaos_core.lyapunov.neighbours import Orbit
from chaos_core.reconstruction import MAP_PERIOD, choose_embedding, dominant_period, theiler_window
from chaos_core.series import Series
from chaos_core.typing import Floats

__all__ = ["Prepared", "prepare"]


ROWS_NEEDED = 200
MOST_ROWS = 120_000
MOST_STATES = 40_000
MOST_COORDINATES = 24
MOST_DELAYED = 48
"""Coordinates of an embedding that was asked for: a map of them has a thousand products already."""

SHORTEST_PERIOD = 2.0
"""The clock of iterates, whatever their spectrum."""


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
        is_flow: whether successive rows follow a continuous motion.
        period: dominant period, rows of the series.
        theiler_steps: rows of the series around a point that are its own past and future.
        neighbours: how many neighbours of a state the divergence curve follows.
        levels: (N,) observation noise of each channel as a share of its standard deviation; 0 where there is none or
            where it cannot be told from the motion.
        window: rows of the filter, 1 for none.
        embedding: delay embedding that made the states.
        embedding_given: whether it was asked for.
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
    is_flow: bool
    period: float
    theiler_steps: int
    neighbours: int
    levels: Floats
    window: int
    embedding: Embedding
    embedding_given: bool
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
    def theiler(self) -> int:
        """Rows of the orbit around a point that are its own past and future."""
        return max(1, -(-self.theiler_steps // self.stride))

    @property
    def orbit_embedding(self) -> Embedding:
        """The delay embedding in rows of the orbit."""
        return _thinned(self.embedding, self.stride)

    @property
    def maps_share_embedding(self) -> bool:
        """Whether maps are fitted to the states of the orbit rather than in embeddings of their own."""
        asked_or_map = self.embedding_given or not self.is_flow
        return self.full_state or asked_or_map or self.orbit_period < FINE_PERIOD

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


def _thinned(embedding: Embedding, stride: int) -> Embedding:
    return Embedding(dim=embedding.dim, lag=max(1, round(embedding.lag / stride)))


def _check(options: AnalysisOptions, rows: int, channels: int) -> None:
    """Whether `rows`, those of the longest run, bear what was asked."""
    for name in ("period_steps", "theiler_steps"):
        value = getattr(options, name)
        if value != "auto" and value > rows / 2:
            detail = f"{name} is {value:g}; the longest complete run has {rows} rows and must hold it twice"
            raise Inconsistent(detail, option=name, value=value, limit=rows / 2)
    if options.embedding == "auto":
        return
    coordinates = options.embedding.dim * min(channels, MOST_COORDINATES)
    if options.embedding.dim > 1 and coordinates > MOST_DELAYED:
        detail = f"{options.embedding.dim} copies of the channels are {coordinates} coordinates; the limit is"
        raise Inconsistent(f"{detail} {MOST_DELAYED}", option="embedding", value=coordinates, limit=MOST_DELAYED)
    _require_room(rows, options.embedding.rows_lost)


def _require_room(rows: int, lost: int) -> None:
    if rows < lost + ROWS_NEEDED:
        raise TooShort(
            f"the embedding takes {lost} rows and leaves fewer than {ROWS_NEEDED} of the {rows} that one run has",
            rows=rows,
            rows_needed=lost + ROWS_NEEDED,
        )


def _filtered(raw: list[Floats], options: AnalysisOptions, period: float | None) -> Filtered:
    if options.denoise == "off" or options.dynamics == "map":
        return unfiltered(raw)
    return filter_runs(raw, period)


def _said_of_noise(filtered: Filtered, cleaned: Cleaned, options: AnalysisOptions) -> list[str]:
    if options.denoise == "off":
        return ["Observation noise was neither looked for nor taken away, as asked."]
    if not filtered.levels.any():
        return []
    noise = (
        f"Observation noise of about {100 * float(np.sqrt((filtered.levels**2).mean())):.2g} % of the signal's spread"
    )
    if cleaned.runs is not cleaned.filtered:
        return [f"{noise} was taken away first."]
    how = (
        f"only a filter over {filtered.window} rows was used" if filtered.window > 1 else "the rows stayed as they are"
    )
    return [f"{noise} was found; {how}, since no one map explains the rest or there are many channels."]


def _embedding(
    longest: Floats, options: AnalysisOptions, is_flow: bool, period: float, theiler: int
) -> tuple[Embedding, bool]:
    """The embedding, and whether it takes the channels as the state."""
    if options.embedding != "auto":
        return options.embedding, options.embedding.dim == 1
    if longest.shape[1] >= FULL_STATE:
        return Embedding(), True
    found = choose_embedding(longest, period if is_flow else SHORTEST_PERIOD, theiler)
    return found, found.dim == 1


def _orbit(runs: list[Floats], embedding: Embedding, stride: int, *, given: bool) -> tuple[Orbit, list[str]]:
    thinned, notes = _thinned(embedding, stride), []
    if given:
        _require_room(stride * max(len(run) for run in runs), stride * thinned.rows_lost)
        if embedding.dim > 1 and stride * thinned.lag != embedding.lag:
            notes.append(
                f"The lag became {stride * thinned.lag} rows: every {stride} rows of the series are one state."
            )
    return Orbit.embedded(runs, thinned), notes


def prepare(series: Series, options: AnalysisOptions = AUTOMATIC) -> Prepared:
    """Makes a series ready for the estimators.

    The scale and offset of each channel do not matter. Three and more channels are taken as the state; one channel,
    and two where they do not determine their own future, are delay-embedded. Finely sampled flows are thinned to
    some 40 rows per period after filtering, since closer rows add no information about divergence. Where there is
    observation noise, the rows are denoised with the map that they themselves suggest.

    Args:
        series: any series; stretches, and gaps longer than an eighth of a period, bound the runs.
        options: what is known beforehand; everything else is found from the data.

    Raises:
        TooShort: no complete run has 200 rows, or none has 200 beside those that the embedding takes.
        Inconsistent: a period or window longer than half of the longest run, or an embedding of too many coordinates.

    Source: H. Kantz, T. Schreiber (2004), Nonlinear Time Series Analysis, Cambridge, doi:10.1017/CBO9780511755798.
    """
    series, longest_gap = bridged(series)
    raw, notes = _usable_runs(series)
    if longest_gap:
        notes.append(f"Gaps of up to {longest_gap} rows, an eighth of a period, were bridged by splines.")
    _check(options, max(len(run) for run in raw), series.channels)
    known = None if options.period_steps == "auto" else options.period_steps
    filtered = _filtered(raw, options, known)
    longest = filtered.longest[:MOST_STATES]
    period = dominant_period(longest) if known is None else known
    is_flow = period >= MAP_PERIOD if options.dynamics == "auto" else options.dynamics == "flow"
    theiler = theiler_window(period) if options.theiler_steps == "auto" else options.theiler_steps
    stride = thinning(period) if is_flow else 1
    embedding, full_state = _embedding(longest, options, is_flow, period, theiler)
    cleaned = clean_runs(filtered, period, stride, delays=not full_state)
    runs, notes = cleaned.runs, notes + _said_of_noise(filtered, cleaned, options)
    if series.channels > MOST_COORDINATES:
        runs, kept = _leading(runs)
        notes.append(
            f"The channels were reduced to {MOST_COORDINATES} principal components, {kept:.3g} of the variance."
        )
    orbit, said = _orbit(runs, embedding, stride, given=options.embedding != "auto")
    return Prepared(
        raw=max(raw, key=len),
        clean=filtered.longest,
        filtered=tuple(cleaned.filtered),
        runs=tuple(runs),
        denoised=cleaned.runs is not cleaned.filtered,
        orbit=orbit,
        stride=stride,
        is_flow=is_flow,
        period=period,
        theiler_steps=theiler,
        neighbours=1 if options.neighbours == "auto" else options.neighbours,
        levels=filtered.levels,
        window=filtered.window,
        embedding=embedding,
        embedding_given=options.embedding != "auto",
        full_state=full_state,
        rows=sum(len(run) for run in raw),
        notes=(*notes, *said),
    )
