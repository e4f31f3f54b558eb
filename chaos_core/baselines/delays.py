"""Maps of delay coordinates: learn the increment of the newest row, then shift.

u_t = (x_t, x_{t-lag}, ..., x_{t-(dim-1) lag}) in units of one standard deviation; x_{t+1} = x_t + f(u_t).

Source: increments instead of next values, as in D. J. Gauthier, E. Bollt, A. Griffith, W. A. S. Barbosa (2021), Next
    generation reservoir computing, doi:10.1038/s41467-021-25801-2: on a finely sampled flow a penalty on f then pulls
    towards persistence and not towards the mean.
"""

from collections.abc import Callable, Sequence

import numpy as np

from chaos_core.baselines.base import StateForecaster
from chaos_core.embedding import Embedding, delay_embed
from chaos_core.errors import TooShort
from chaos_core.series import MIN_ROWS, Scaling
from chaos_core.typing import Floats

__all__ = ["delay_forecaster", "increments"]


def increments(pieces: Sequence[Floats], embedding: Embedding) -> tuple[Floats, Floats]:
    """The training pairs of a map of delay coordinates.

    Args:
        pieces: (T_i, N) scaled; pieces too short for one pair are left out.
        embedding: dimension and lag, in steps.

    Returns:
        (R, N * dim) delay vectors, and the (R, N) increments of their newest rows. No pair spans two pieces.

    Raises:
        TooShort: fewer than 32 pairs.
    """
    lost = embedding.rows_lost
    usable = [piece for piece in pieces if len(piece) > lost + 1]
    found = sum(len(piece) - lost - 1 for piece in usable)
    if found < MIN_ROWS:
        longest = max(map(len, pieces))
        detail = f"{found} pairs of a state and its successor; at least {MIN_ROWS} are needed"
        raise TooShort(detail, rows=longest, rows_needed=lost + 1 + MIN_ROWS)
    vectors = [delay_embed(piece, embedding)[:-1] for piece in usable]
    return np.concatenate(vectors), np.concatenate([np.diff(piece[lost:], axis=0) for piece in usable])


def delay_forecaster(scaling: Scaling, embedding: Embedding, increment: Callable[[Floats], Floats]) -> StateForecaster:
    """The forecaster x_{t+1} = x_t + increment(u_t); its state is the scaled rows that are still needed, newest first.

    Args:
        scaling: of the N channels.
        embedding: dimension and lag of u.
        increment: (B, N * dim) -> (B, N), scaled.
    """
    channels, width = len(scaling.mean), embedding.rows_lost + 1
    all_rows = Embedding(dim=width)
    picks = np.concatenate([i * embedding.lag * channels + np.arange(channels) for i in range(embedding.dim)])

    def step(rows: Floats) -> Floats:
        newest = rows[:, :channels] + increment(rows[:, picks])
        return np.concatenate([newest, rows[:, : (width - 1) * channels]], axis=1)

    return StateForecaster(
        channels=channels,
        context_rows=width,
        states=lambda x: delay_embed(scaling.apply(x), all_rows),
        step=step,
        read=lambda rows: scaling.undo(rows[:, :channels]),
    )
