"""SINDy: a sparse polynomial differential equation, found by thresholded least squares."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from chaos_core.baselines.base import PLAIN, Baseline, Forecaster, StateForecaster, as_pieces
from chaos_core.baselines.monomials import Monomials
from chaos_core.baselines.readout import MOST_NUMBERS, latest, searched
from chaos_core.embedding import Embedding, delay_embed
from chaos_core.errors import TooShort
from chaos_core.series import MIN_ROWS, Scaling
from chaos_core.typing import Floats

__all__ = ["Law", "Sindy"]

THRESHOLDS = (0.3, 0.1, 0.03, 0.01, 0.003)
WINDOWS = (0, 11, 31)
FALLBACK_THRESHOLD = 0.03
SHRINKAGE = 1e-10
SUBSTEPS = 2
SMOOTHING_ORDER = 3
DIFFERENCE_ORDER = 4


class Choice(NamedTuple):
    """What is searched."""

    smoothing: int
    threshold: float


@dataclass(frozen=True, eq=False)
class Law:
    """u' = C [1, u, products of u], a polynomial field in D coordinates.

    Args:
        terms: F sorted tuples of coordinates; () is the constant, (0, 2) is u_0 u_2.
        coefficients: (F, D), the column of a coordinate being its derivative.
    """

    terms: tuple[tuple[int, ...], ...]
    coefficients: Floats

    def coefficient(self, of: int, *term: int) -> float:
        """The coefficient of a term in the derivative of coordinate `of`: `coefficient(2, 0, 1)` of u_0 u_1 in u_2'."""
        return float(self.coefficients[self.terms.index(tuple(sorted(term))), of])

    def field(self) -> Callable[[Floats], Floats]:
        """(B, D) -> (B, D)."""
        degree, coordinates = len(self.terms[-1]), self.coefficients.shape[1]
        monomials = Monomials.of(coordinates, degree)
        constant, others = self.coefficients[0], self.coefficients[1:]
        return lambda u: monomials(u) @ others + constant

    def in_units(self, mean: Floats, std: Floats, time: float) -> "Law":
        """The law of v = mean + std u when a unit of the old time is `time` new ones: each term is multiplied out."""
        place = {term: index for index, term in enumerate(self.terms)}
        moved = np.zeros_like(self.coefficients)
        for term, row in zip(self.terms, self.coefficients, strict=True):
            for kept in product((False, True), repeat=len(term)):
                left = tuple(i for i, keep in zip(term, kept, strict=True) if keep)
                dropped = [-mean[i] for i, keep in zip(term, kept, strict=True) if not keep]
                moved[place[left]] += row * np.prod(dropped) / np.prod([std[i] for i in term])
        return Law(self.terms, moved * std / time)


class Sindy(Baseline, frozen=True):
    """u' = C [1, u, products of u] with few entries of C different from zero; u is the channels or delay coordinates.

    u in units of one standard deviation, time in units in which u' has that size too; derivatives by fourth-order
    differences, after a Savitzky-Golay filter where that forecasts better; C by sequentially thresholded least
    squares. Runs are integrated by the classical Runge-Kutta method with two steps a row, with no guard: where the
    law has no bounded orbit nearby, the run is not finite and the score says so.

    Settings: degree 2 contains most textbook flows. The threshold (0.003 to 0.3) and the smoothing (none, 11 or 31
    rows) are chosen on the end of the training data unless they are set.

    Source: S. L. Brunton, J. L. Proctor, J. N. Kutz (2016), Discovering governing equations from data by sparse
        identification of nonlinear dynamical systems, doi:10.1073/pnas.1517384113; the solver is PySINDy's, A. A.
        Kaptanoglu et al. (2022), doi:10.21105/joss.03994.
    Differs: data are standardised first, so that one threshold means the same for all terms; `law` multiplies out.
        The constant is always kept, since a shift of the data alone makes one.
    """

    citation: ClassVar[str] = (
        "Brunton, Proctor, Kutz (2016), Discovering governing equations from data by sparse identification of "
        "nonlinear dynamical systems, doi:10.1073/pnas.1517384113"
    )

    kind: Literal["sindy"] = "sindy"
    degree: int = Field(2, ge=1, le=5, description="Factors of a product.")
    threshold: float | None = Field(
        None, gt=0, le=10, description="Coefficients below it are dropped (scaled units); null: chosen."
    )
    smoothing: int | None = Field(
        None, ge=0, le=1001, description="Rows of the smoothing filter, 0 for none; null: chosen on held-out data."
    )

    def learn(self, pieces: list[Floats], dt: float | None, embedding: Embedding) -> Forecaster:
        """Finds a law in scaled coordinates, with the row as the unit of time."""
        del dt
        scaling = Scaling.of_rows(*pieces)
        monomials = Monomials.of(len(scaling.mean) * embedding.dim, self.degree)

        def make(some: Sequence[Floats], choices: Sequence[Choice]) -> list[StateForecaster]:
            kept = latest(some, MOST_NUMBERS // len(monomials.terms))
            vectors = [delay_embed(scaling.apply(x), embedding) for x in kept if len(x) > embedding.rows_lost]
            found = []
            for smoothing in dict.fromkeys(choice.smoothing for choice in choices):
                thresholds = [choice.threshold for choice in choices if choice.smoothing == smoothing]
                laws = _laws(*_derivatives(vectors, smoothing), monomials, thresholds)
                found += [_forecaster(scaling, embedding, law) for law in laws]
            return found

        windows = WINDOWS if self.smoothing is None else (self.smoothing,)
        longest = max(map(len, pieces)) - embedding.rows_lost
        usable = [window for window in windows if window in (windows[0], 0) or longest > 10 * window]
        thresholds = THRESHOLDS if self.threshold is None else (self.threshold,)
        fallback = Choice(usable[0], self.threshold or FALLBACK_THRESHOLD)
        choices = [Choice(*pair) for pair in product(usable, thresholds)]
        return searched(pieces, choices, make, fallback, embedding.rows_lost + 1)

    def law(self, x: Any, *, dt: float | None = None, embedding: Embedding = PLAIN) -> Law:
        """The law that `fit` finds for the same arguments, in the units of the data and of dt.

        The standardisation is multiplied out, so terms that a sparse law has not may come back as small numbers.
        """
        pieces = as_pieces(x)
        forecaster = self.fit(pieces, dt=dt, embedding=embedding)
        assert isinstance(forecaster, StateForecaster) and isinstance(forecaster.step, RungeKutta)
        scaling = Scaling.of_rows(*pieces)
        mean, std = (np.tile(values, embedding.dim) for values in (scaling.mean, scaling.std))
        return forecaster.step.law.in_units(mean, std, 1.0 if dt is None else dt)


@dataclass(frozen=True, eq=False)
class RungeKutta:
    """One row of a law whose unit of time is the row, in `SUBSTEPS` steps of the classical scheme."""

    law: Law
    field: Callable[[Floats], Floats]

    def __call__(self, u: Floats) -> Floats:
        """(B, D) -> (B, D)."""
        h = 1 / SUBSTEPS
        for _ in range(SUBSTEPS):
            k1 = self.field(u)
            k2 = self.field(u + h / 2 * k1)
            k3 = self.field(u + h / 2 * k2)
            k4 = self.field(u + h * k3)
            u = u + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return u


def _derivatives(vectors: Sequence[Floats], smoothing: int) -> tuple[Floats, Floats]:
    """States (R, D) and their derivatives per row (R, D), without the ends of each piece, where both are worse."""
    import pysindy

    window = smoothing + 1 - smoothing % 2 if smoothing else 0
    edge = max(window // 2, DIFFERENCE_ORDER)
    states, slopes = [], []
    for x in vectors:
        if len(x) <= max(window, 2 * edge):
            continue
        if window > SMOOTHING_ORDER:
            settings = {"window_length": window, "polyorder": SMOOTHING_ORDER, "axis": 0}
            method = pysindy.SmoothedFiniteDifference(smoother_kws=settings, order=DIFFERENCE_ORDER)
        else:
            method = pysindy.FiniteDifference(order=DIFFERENCE_ORDER)
        slope = np.asarray(method(x, t=1.0), np.float64)
        smooth = np.asarray(method.smoothed_x_, np.float64) if window > SMOOTHING_ORDER else x
        states.append(smooth[edge:-edge])
        slopes.append(slope[edge:-edge])
    found = sum(map(len, states))
    if found < MIN_ROWS:
        detail = f"{found} rows have a derivative; at least {MIN_ROWS} are needed"
        raise TooShort(detail, rows=max(map(len, vectors), default=0), rows_needed=2 * edge + MIN_ROWS)
    return np.concatenate(states), np.concatenate(slopes)


def _laws(states: Floats, slopes: Floats, monomials: Monomials, thresholds: Sequence[float]) -> list[Law]:
    """A law for each threshold, in the row as the unit of time; its constant is not thresholded (see `Sindy`)."""
    import pysindy

    rate = float(np.sqrt(slopes.var(axis=0).mean())) or 1.0
    features = monomials(states)
    middle, drift = features.mean(axis=0), slopes.mean(axis=0)
    terms = ((), *monomials.terms)
    found = []
    for threshold in thresholds:
        solver = pysindy.STLSQ(threshold=threshold, alpha=SHRINKAGE * len(states))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solver.fit(features - middle, (slopes - drift) / rate)
        sparse = np.asarray(solver.coef_, np.float64).T * rate
        found.append(Law(terms, np.concatenate([[drift - middle @ sparse], sparse])))
    return found


def _forecaster(scaling: Scaling, embedding: Embedding, law: Law) -> StateForecaster:
    channels = len(scaling.mean)
    return StateForecaster(
        channels=channels,
        context_rows=embedding.rows_lost + 1,
        states=lambda x: delay_embed(scaling.apply(x), embedding),
        step=RungeKutta(law, law.field()),
        read=lambda u: scaling.undo(u[:, :channels]),
    )
