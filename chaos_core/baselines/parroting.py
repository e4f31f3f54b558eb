"""Context parroting: find where the series has been before, and repeat what followed then."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from chaos_core.baselines.base import Baseline, Forecaster
from chaos_core.embedding import Embedding, delay_embed
from chaos_core.errors import TooShort
from chaos_core.series import Scaling
from chaos_core.typing import Floats

__all__ = ["Parroting"]

WINDOW = 10
"""Rows that are compared; short enough to find a near match, long enough to tell rising from falling."""


@dataclass(frozen=True, eq=False)
class ParrotForecaster(Forecaster):
    """Repeats what followed the window of the library that is nearest to the last rows of the context.

    Args:
        channels, context_rows: see `Forecaster`; the context's last `context_rows` rows are compared.
        library: the pieces (T_i, N) that are searched and copied from; a window never spans two of them.
        spread: (N,) unit of each channel's differences.
    """

    library: tuple[Floats, ...]
    spread: Floats

    def _continue(self, context: Floats, steps: int) -> Floats:
        width, longest = self.context_rows, max(map(len, self.library))
        future = max(1, min(max(steps, width), longest // 2))
        goal = context[len(context) - width :] / self.spread
        found = []
        for piece in self.library:
            distance = _distances(piece / self.spread, goal, future)
            if distance.size:
                match = int(np.argmin(distance))
                found.append((distance[match], piece[match + width :]))
        _, copied = min(found, key=lambda pair: pair[0])
        continued: Floats = copied[np.arange(steps) % len(copied)]
        return continued

    def _ahead(self, x: Floats, count: int, n: int) -> Floats:
        from scipy.spatial import cKDTree

        width = self.context_rows
        usable = [piece for piece in self.library if len(piece) >= width + n]
        if not usable:
            longest = max(map(len, self.library))
            raise TooShort(f"{longest} rows to look back at", rows=longest, rows_needed=width + n)
        windows = Embedding(dim=width)
        known = np.concatenate([delay_embed(piece[: len(piece) - n], windows) for piece in usable])
        follows = np.concatenate([piece[width - 1 + n :] for piece in usable])
        unit = np.tile(self.spread, width)
        tree = cKDTree(known / unit)
        _, match = tree.query(delay_embed(x, windows)[-count:] / unit)
        forecast: Floats = follows[match]
        return forecast


class Parroting(Baseline, frozen=True):
    """Continues a series by repeating what followed the best match of its last rows in the training data.

    The match is the window at the smallest distance sum over rows and channels of (difference / std)^2 among those
    with at least min(steps, T / 2) rows after it; a match of an oversampled flow with itself one step earlier is so
    excluded. Where the copied piece ends, it is repeated from the match on.

    A long parrot replays truth: its D_stsp is excellent and says nothing about what was learnt. Compare forecasts
    and Lyapunov exponents instead.

    Source: Zhang, Gilpin (2025), Context parroting: a simple but tough-to-beat baseline for foundation models in
        scientific machine learning, arXiv:2505.11349.
    Differs: all channels are matched at once, and matches without a long enough future are left out.
    """

    citation: ClassVar[str] = (
        "Zhang, Gilpin (2025), Context parroting: a simple but tough-to-beat baseline for foundation models in "
        "scientific machine learning, arXiv:2505.11349"
    )
    copies_noise: ClassVar[bool] = True

    kind: Literal["parroting"] = "parroting"
    window: int = Field(WINDOW, ge=1, le=1000, description="Rows compared; at most a quarter of the longest piece.")

    def learn(self, pieces: list[Floats], dt: float | None, embedding: Embedding) -> Forecaster:
        """Keeps the pieces."""
        del dt, embedding
        width = max(1, min(self.window, max(map(len, pieces)) // 4))
        spread = np.asarray(Scaling.of_rows(*pieces).std)
        return ParrotForecaster(pieces[0].shape[1], width, tuple(pieces), spread)


def _distances(scaled: Floats, goal: Floats, future: int) -> Floats:
    """Squared distance of each window of a piece, with `future` rows after it, from the goal (width, N)."""
    candidates = max(0, len(scaled) - len(goal) - future + 1)
    distance = np.zeros(candidates)
    for place, row in enumerate(goal):
        gap = scaled[place : place + candidates] - row
        distance += np.einsum("ij,ij->i", gap, gap)
    return distance
