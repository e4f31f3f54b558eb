"""Tomorrow is as today."""

from typing import ClassVar, Literal

from chaos_core.baselines.base import Baseline, Forecaster, StateForecaster
from chaos_core.embedding import Embedding
from chaos_core.typing import Floats

__all__ = ["Persistence"]


class Persistence(Baseline, frozen=True):
    """x_{t+n} = x_t: hard to beat a few steps ahead where the sampling is fine; PE(n) = 2 (1 - r_n) variance, with
    the autocorrelation r_n at lag n.

    Source: A. H. Murphy (1992), Climatology, persistence, and their linear combination as standards of reference in
        skill scores, doi:10.1175/1520-0434(1992)007<0692:CPATLC>2.0.CO;2.
    """

    citation: ClassVar[str] = (
        "Murphy (1992), Climatology, persistence, and their linear combination as standards of reference in skill "
        "scores, doi:10.1175/1520-0434(1992)007<0692:CPATLC>2.0.CO;2"
    )
    copies_noise: ClassVar[bool] = True

    kind: Literal["persistence"] = "persistence"

    def learn(self, pieces: list[Floats], dt: float | None, embedding: Embedding) -> Forecaster:
        """There is nothing to learn but the number of channels."""
        del dt, embedding
        return StateForecaster(
            channels=pieces[0].shape[1],
            context_rows=1,
            states=lambda x: x,
            step=lambda x: x,
            read=lambda x: x,
        )
