"""A series as the cell sees it: scaled, delay-embedded, and cut into windows that never touch a gap."""

from dataclasses import dataclass

import numpy as np

from chaos_core.embedding import Embedding, delay_embed
from chaos_core.errors import TooShort
from chaos_core.series import Scaling, Series
from chaos_core.typing import Floats, Ints

__all__ = ["Rows", "embedded_rows", "longest_run"]


@dataclass(frozen=True, eq=False)
class Rows:
    """The complete runs of a series, one after the other.

    Args:
        x: (R, N * dim) float64, scaled and delay-embedded.
        edges: first rows of the runs and R at the end; between two edges time is uninterrupted.
    """

    x: Floats
    edges: tuple[int, ...]

    def starts(self, rows: int) -> Ints:
        """First rows of all windows of `rows` rows that lie inside one run.

        Raises:
            TooShort: there is none.
        """
        pairs = zip(self.edges[:-1], self.edges[1:], strict=True)
        pieces = [np.arange(a, b - rows + 1, dtype=np.int64) for a, b in pairs]
        found = np.concatenate(pieces) if pieces else np.zeros(0, np.int64)
        if not found.size:
            longest = max((b - a for a, b in zip(self.edges[:-1], self.edges[1:], strict=True)), default=0)
            raise TooShort(
                f"the longest uninterrupted run has {longest} usable rows; a window takes {rows}",
                rows=longest,
                rows_needed=rows,
            )
        return found

    def longest(self) -> Floats:
        """The longest uninterrupted run, (R', N * dim)."""
        pairs = list(zip(self.edges[:-1], self.edges[1:], strict=True))
        a, b = max(pairs, key=lambda pair: pair[1] - pair[0], default=(0, 0))
        return self.x[a:b]

    def spread(self, count: int) -> Floats:
        """`count` rows in the middles of as many equal parts: starts of free runs."""
        picked = ((np.arange(count) + 0.5) / max(1, count) * len(self.x)).astype(np.int64)
        return self.x[picked]


def embedded_rows(series: Series, scaling: Scaling, embedding: Embedding) -> Rows:
    """Scales and embeds each complete run; runs too short for one delay vector are left out."""
    runs = series.runs(min_rows=embedding.rows_lost + 1)
    pieces = [delay_embed(scaling.apply(series.x[run]), embedding) for run in runs]
    width = series.channels * embedding.dim
    x = np.concatenate(pieces) if pieces else np.zeros((0, width))
    edges = np.cumsum([0, *(len(piece) for piece in pieces)])
    return Rows(np.ascontiguousarray(x), tuple(int(edge) for edge in edges))


def longest_run(series: Series) -> Series:
    """The longest piece without a gap or a break."""
    runs = series.runs()
    best = max(runs, key=lambda run: run.stop - run.start, default=slice(0, 0))
    return series.rows(best.start, best.stop)
