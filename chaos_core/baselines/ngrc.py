"""Next-generation reservoir computing: a polynomial of a few delayed rows."""

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from chaos_core.baselines.base import Baseline, Forecaster, StateForecaster
from chaos_core.baselines.delays import delay_forecaster, increments
from chaos_core.baselines.monomials import Monomials
from chaos_core.baselines.readout import MOST_NUMBERS, RIDGES, Readout, latest, ridge_readouts, searched
from chaos_core.embedding import Embedding
from chaos_core.series import Scaling
from chaos_core.typing import Floats

__all__ = ["NGRC"]

FALLBACK_RIDGE = 1e-6
DELAYS = 2
LAGS = (1, 5)
DEGREES = (2, 3)
MOST_TRIED_TERMS = 400
"""Degree 3 is tried with up to so many terms, that is with up to 11 numbers in u: two seconds at 15 000 rows."""


class Shape(NamedTuple):
    """What makes up the features: delay coordinates and the degree of their products."""

    delays: Embedding
    degree: int


class NGRC(Baseline, frozen=True):
    """x_{t+1} = x_t + W [u, all products of entries of u] + b, with u = (x_t, x_{t-lag}, ..., x_{t-(delays-1) lag}).

    x in units of one standard deviation; W, b by ridge regression. Nothing is random, and nothing bounds the map:
    runs on noisy data often leave it, and the score says so.

    Settings: two delays as for Lorenz-63 in the source. Lag (1 or 5), degree (2 or 3) and ridge are chosen on the end
    of the training data unless they are set: with the source's lag 1 and degree 2 Rossler at dt = 0.1 is not learnt
    (D_stsp 10 where degree 3 has 0.5), and with 5 % noise a lag of 5 does better (Lorenz-63: 2.6 against 13). Where
    `fit` gets an embedding of two or more dimensions, its dimension and lag are taken for those that are not set.

    Source: D. J. Gauthier, E. Bollt, A. Griffith, W. A. S. Barbosa (2021), Next generation reservoir computing, Nature
        Communications 12, 5564, doi:10.1038/s41467-021-25801-2.
    Differs: data are standardised first; the penalty counts per row, leaves out the bias, and is searched.
    """

    citation: ClassVar[str] = (
        "Gauthier, Bollt, Griffith, Barbosa (2021), Next generation reservoir computing, doi:10.1038/s41467-021-25801-2"
    )

    kind: Literal["ngrc"] = "ngrc"
    delays: int | None = Field(
        None, ge=1, le=50, description="Rows that make up u; null: 2, or those of the embedding."
    )
    lag: int | None = Field(None, ge=1, le=1000, description="Steps between them; null: chosen on held-out data.")
    degree: int | None = Field(None, ge=1, le=3, description="Factors of a product; null: chosen on held-out data.")
    ridge: float | None = Field(None, gt=0, le=1, description="Penalty per row; null: chosen on held-out data.")

    def learn(self, pieces: list[Floats], dt: float | None, embedding: Embedding) -> Forecaster:
        """Ridge regression of increments on monomials of delay coordinates."""
        del dt
        scaling = Scaling.of_rows(*pieces)

        def make(some: Sequence[Floats], settings: Sequence[tuple[Shape, float]]) -> list[StateForecaster]:
            found = []
            for shape in dict.fromkeys(shape for shape, _ in settings):
                ridges = [ridge for wanted, ridge in settings if wanted == shape]
                found += _fitted(some, scaling, shape, ridges)
            return found

        shapes = self._shapes(len(scaling.mean), embedding)
        ridges = RIDGES if self.ridge is None else (self.ridge,)
        fallback = (shapes[0], self.ridge or FALLBACK_RIDGE)
        context_rows = max(shape.delays.rows_lost for shape in shapes) + 1
        return searched(pieces, list(product(shapes, ridges)), make, fallback, context_rows)

    def _shapes(self, channels: int, embedding: Embedding) -> list[Shape]:
        embedded = embedding.dim > 1
        dim = self.delays or (embedding.dim if embedded else DELAYS)
        lags = (self.lag,) if self.lag else (embedding.lag,) if embedded else LAGS if dim > 1 else (1,)
        degrees = (self.degree,) if self.degree else DEGREES
        least = degrees[0]
        tried = [d for d in degrees if d == least or math.comb(channels * dim + d, d) <= MOST_TRIED_TERMS]
        return [Shape(Embedding(dim=dim, lag=lag), degree) for lag, degree in product(lags, tried)]


def _fitted(pieces: Sequence[Floats], scaling: Scaling, shape: Shape, ridges: Sequence[float]) -> list[StateForecaster]:
    monomials = Monomials.of(len(scaling.mean) * shape.delays.dim, shape.degree)
    scaled = [scaling.apply(piece) for piece in latest(pieces, MOST_NUMBERS // len(monomials.terms))]
    vectors, targets = increments(scaled, shape.delays)
    readouts = ridge_readouts(monomials(vectors), targets, ridges)
    return [delay_forecaster(scaling, shape.delays, _increment(monomials, readout)) for readout in readouts]


def _increment(monomials: Monomials, readout: Readout) -> Callable[[Floats], Floats]:
    return lambda u: readout(monomials(u))
