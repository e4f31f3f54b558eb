"""Delay embedding: several rows of a series side by side as one state."""

import numpy as np
from pydantic import BaseModel, ConfigDict, PositiveInt

from chaos_core.errors import TooShort
from chaos_core.typing import Floats

__all__ = ["Embedding", "delay_embed", "unit_variance"]


class Embedding(BaseModel):
    """How many delayed copies of the channels make up the state: z_t = (x_t, x_{t-lag}, ..., x_{t-(dim-1) lag}).

    Args:
        dim: copies of each channel; 1 (the default) takes the channels as the state.
        lag: steps between copies.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dim: PositiveInt = 1
    lag: PositiveInt = 1

    @property
    def rows_lost(self) -> int:
        """Rows at the start of a series that have no complete past."""
        return (self.dim - 1) * self.lag


def delay_embed(x: Floats, embedding: Embedding) -> Floats:
    """Builds the delay vectors of one uninterrupted run, newest first: [x_t, x_{t-lag}, ...].

    Args:
        x: (T, N) observations without gaps.
        embedding: dimension and lag, in steps.

    Returns:
        (T - rows_lost, N * dim); row i belongs to time i + rows_lost and its first N columns are x at that time.

    Raises:
        TooShort: no row has a complete past.

    Source: F. Takens (1981), Detecting strange attractors in turbulence, doi:10.1007/BFb0091924.
    """
    rows = len(x) - embedding.rows_lost
    if rows < 1:
        raise TooShort(
            f"{len(x)} rows for an embedding that needs {embedding.rows_lost + 1}",
            rows=len(x),
            rows_needed=embedding.rows_lost + 1,
        )
    starts = [embedding.rows_lost - i * embedding.lag for i in range(embedding.dim)]
    return np.concatenate([x[start : start + rows] for start in starts], axis=1)


def unit_variance(x: Floats) -> Floats:
    """Each column shifted and scaled to mean 0 and variance 1; a column that does not vary becomes 0."""
    centred = x - x.mean(axis=0)
    spread = centred.std(axis=0)
    flat = spread <= 1e-12 * np.maximum(np.abs(x).max(axis=0), 1e-300)
    scaled: Floats = np.where(flat, 0.0, centred) / np.where(flat, 1.0, spread)
    return scaled
