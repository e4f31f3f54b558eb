"""The mean of the data, for ever."""

from typing import ClassVar, Literal

import numpy as np

from chaos_core.baselines.base import Baseline, Forecaster, StateForecaster
from chaos_core.embedding import Embedding
from chaos_core.typing import Floats

__all__ = ["Mean"]


class Mean(Baseline, frozen=True):
    """x_{t+n} = mean of the training rows: the best forecast of what is unpredictable, with PE = variance.

    Source: climatology as the reference of forecast skill, A. H. Murphy (1988), Skill scores based on the mean square
        error and their relationships to the correlation coefficient,
        doi:10.1175/1520-0493(1988)116<2417:SSBOTM>2.0.CO;2.
    """

    citation: ClassVar[str] = (
        "Murphy (1988), Skill scores based on the mean square error and their relationships to the correlation "
        "coefficient, doi:10.1175/1520-0493(1988)116<2417:SSBOTM>2.0.CO;2"
    )
    copies_noise: ClassVar[bool] = True

    kind: Literal["mean"] = "mean"

    def learn(self, pieces: list[Floats], dt: float | None, embedding: Embedding) -> Forecaster:
        """Averages each channel over the rows of all pieces."""
        del dt, embedding
        mean = np.concatenate(pieces).mean(axis=0)
        return StateForecaster(
            channels=len(mean),
            context_rows=1,
            states=lambda x: x,
            step=lambda x: np.broadcast_to(mean, x.shape),
            read=lambda x: x,
        )
