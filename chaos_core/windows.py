"""A series as the cell sees it: scaled, delay-embedded, cut into windows that cross no stretch and no long gap."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from chaos_core.embedding import Embedding, delay_embed
from chaos_core.errors import TooShort
from chaos_core.series import Scaling, Series
from chaos_core.typing import Flags, Floats, Ints

__all__ = ["Rows", "embedded_rows", "longest_run"]

LEAST_PRESENT = 0.5
"""A window of which less was measured teaches little and costs as much."""

ENOUGH_COMPLETE = 0.2
"""Windows start on rows that are known whole, unless there are fewer of these than this share of all."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The usable runs of a series, one after the other.

    Args:
        x: (R, N * dim) float64, scaled and delay-embedded; NaN where an entry was not measured: these are targets.
        edges: first rows of the runs and R at the end; between two edges time is uninterrupted.
        u: (R, K) scaled external inputs of the same rows.
        seen: `x` with short gaps bridged, NaN where there is no bridge: this may force the state.
    """

    x: Floats
    edges: tuple[int, ...]
    u: Floats
    seen: Floats

    @cached_property
    def present(self) -> Flags:
        """(R, N * dim) True where an entry was measured."""
        there: Flags = np.isfinite(self.x)
        return there

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return bool(self.present.all())

    @property
    def bridged(self) -> bool:
        """Whether the state can be forced in every row."""
        return bool(np.isfinite(self.seen).all())

    def starts(self, rows: int) -> Ints:
        """First rows of all windows of `rows` rows that lie inside one run and of which half was measured.

        Raises:
            TooShort: there is none.
        """
        pairs = zip(self.edges[:-1], self.edges[1:], strict=True)
        pieces = [np.arange(a, b - rows + 1, dtype=np.int64) for a, b in pairs]
        found = np.concatenate(pieces) if pieces else np.zeros(0, np.int64)
        if found.size and not self.complete:
            found = self._well_measured(found, rows)
        if not found.size:
            longest = max((b - a for a, b in zip(self.edges[:-1], self.edges[1:], strict=True)), default=0)
            raise TooShort(
                f"the longest uninterrupted run has {longest} usable rows; a window takes {rows}",
                rows=longest,
                rows_needed=rows,
            )
        return found

    def _well_measured(self, starts: Ints, rows: int) -> Ints:
        shares = np.concatenate([[0.0], self.present.mean(axis=1).cumsum()])
        found: Ints = starts[shares[starts + rows] - shares[starts] >= LEAST_PRESENT * rows]
        whole: Ints = found[np.isfinite(self.seen[found]).all(axis=1)]
        return whole if len(whole) >= max(1.0, ENOUGH_COMPLETE * len(found)) else found

    def longest(self) -> tuple[int, int]:
        """First row and end of the longest uninterrupted run; (0, 0) where there is none."""
        pairs = list(zip(self.edges[:-1], self.edges[1:], strict=True))
        return max(pairs, key=lambda pair: pair[1] - pair[0], default=(0, 0))

    def spread(self, count: int) -> Floats:
        """`count` rows in the middles of as many equal parts: starts of free runs."""
        picked = ((np.arange(count) + 0.5) / max(1, count) * len(self.x)).astype(np.int64)
        return self.seen[picked]


def embedded_rows(
    series: Series,
    scaling: Scaling,
    embedding: Embedding,
    *,
    bridged: Series | None = None,
    longest_gap: int = 0,
    input_scaling: Scaling | None = None,
) -> Rows:
    """Scales and embeds each run; runs too short for one delay vector are left out.

    Args:
        series: the data.
        scaling: of the channels.
        embedding: delay coordinates.
        bridged: the same series with its short gaps filled; the data themselves where left out.
        longest_gap: rows that a channel may miss without ending a run; 0 for complete rows only.
        input_scaling: of the external inputs; left as they are without one.
    """
    runs = series.runs(embedding.rows_lost + 1, longest_gap)
    pieces, known = (
        [delay_embed(scaling.apply(source.x[run]), embedding) for run in runs] for source in (series, bridged or series)
    )
    inputs = series.inputs if input_scaling is None else input_scaling.apply(series.inputs)
    drives = [inputs[run][embedding.rows_lost :] for run in runs]
    edges = np.cumsum([0, *(len(piece) for piece in pieces)])
    x, seen = (_together(some, series.channels * embedding.dim) for some in (pieces, known))
    return Rows(x, tuple(int(edge) for edge in edges), _together(drives, series.driven_by), seen)


def _together(pieces: list[Floats], width: int) -> Floats:
    return np.ascontiguousarray(np.concatenate(pieces) if pieces else np.zeros((0, width)))


def longest_run(series: Series) -> Series:
    """The longest piece without a gap or a break."""
    runs = series.runs()
    best = max(runs, key=lambda run: run.stop - run.start, default=slice(0, 0))
    return series.rows(best.start, best.stop)
