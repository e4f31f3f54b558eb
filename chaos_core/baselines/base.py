"""What a baseline is: settings that learn from pieces of a series, and a forecaster that continues any context.

A forecaster in state form knows four things: how many rows of context it wants, the states that go with the rows of a
series, one free step of many states at once, and how a state is read off. Free runs, and forecasts from every row of
a long test piece, follow from these by themselves. Everything is in the units of the data and in float64.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel

from chaos_core.embedding import Embedding
from chaos_core.errors import BadShape, BadStep, EmptyData, Inconsistent, NotFinite, NotReal, TooShort
from chaos_core.series import MIN_ROWS
from chaos_core.typing import Floats

__all__ = ["PLAIN", "Baseline", "Forecaster", "StateForecaster", "as_pieces", "rows_of"]

PLAIN = Embedding()
"""The channels themselves are the state."""

STATES_AT_ONCE = 4096
"""States that are stepped together: enough for fast matrix products, and 10 MB where a state is 300 units."""


@dataclass(frozen=True, eq=False)
class Forecaster(ABC):
    """What a fitted baseline can do. All arrays are in the units of the data.

    Args:
        channels: N.
        context_rows: rows that a context must have at least.
    """

    channels: int
    context_rows: int

    def run(self, context: Any, steps: int) -> Floats:
        """Continues a context by itself.

        Args:
            context: (C, N) or (C,) uninterrupted rows, the last being the present; C >= `context_rows`.
            steps: rows to give.

        Returns:
            (steps, N), row 0 being the first step after the context. A run that leaves all bounds shows as inf and
            NaN, without an error: from the first row with such an entry on, the rest may be NaN.

        Raises:
            TooShort, BadShape, NotReal, NotFinite: the context cannot be used.
            Inconsistent: a negative number of steps.
        """
        if steps < 0:
            raise Inconsistent(f"{steps} steps cannot be made", steps=steps)
        return self._continue(self._past(context), steps)

    def ahead(self, context: Any, x: Any, n: int) -> Floats:
        """Forecasts the rows of a piece, each from what was known n steps earlier.

        Args:
            context: (C, N) or (C,), the rows directly before the piece; C >= `context_rows`.
            x: (S, N) or (S,) the piece.
            n: steps ahead.

        Returns:
            (S, N): row t is the forecast of x[t] made at x[t - n], as `metrics.prediction_error` wants it; the first n
            rows are NaN.

        Raises:
            TooShort, BadShape, NotReal, NotFinite: a series cannot be used.
            Inconsistent: n is not positive.
        """
        if n < 1:
            raise Inconsistent(f"n must be a positive number of steps, not {n}", n=n)
        past, piece = self._past(context), rows_of(x, self.channels)
        forecast = np.full(piece.shape, np.nan)
        count = len(piece) - n
        if count > 0:
            forecast[n:] = self._ahead(np.concatenate([past, piece[:count]]), count, n)
        return forecast

    @abstractmethod
    def _continue(self, context: Floats, steps: int) -> Floats:
        """(steps, N) after a checked context."""

    @abstractmethod
    def _ahead(self, x: Floats, count: int, n: int) -> Floats:
        """(count, N): forecasts n steps ahead from each of the last `count` rows of x."""

    def _past(self, context: Any) -> Floats:
        past = rows_of(context, self.channels)
        if len(past) < self.context_rows:
            raise TooShort(
                f"a context of {len(past)} rows; {self.context_rows} are needed",
                rows=len(past),
                rows_needed=self.context_rows,
            )
        return past


@dataclass(frozen=True, eq=False)
class StateForecaster(Forecaster):
    """A forecaster in state form.

    Args:
        channels, context_rows: see `Forecaster`.
        states: (C, N) -> (C - context_rows + 1, D), the states after each row that has a full past.
        step: (B, D) -> (B, D), one free step.
        read: (B, D) -> (B, N), the present row of each state.
    """

    states: Callable[[Floats], Floats]
    step: Callable[[Floats], Floats]
    read: Callable[[Floats], Floats]

    def free_runs(self, states: Floats, steps: int) -> Floats:
        """Runs from many states at once, (K, D) -> (K, steps, N); NaN once no run is finite any more."""
        rows = np.full((steps, len(states), self.channels), np.nan)
        with np.errstate(all="ignore"):
            for t in range(steps):
                states = self.step(states)
                rows[t] = self.read(states)
                if not np.isfinite(rows[t]).any():
                    break
        runs: Floats = rows.transpose(1, 0, 2)
        return runs

    def _continue(self, context: Floats, steps: int) -> Floats:
        run: Floats = self.free_runs(self.states(context)[-1:], steps)[0]
        return run

    def _ahead(self, x: Floats, count: int, n: int) -> Floats:
        states = self.states(x)[-count:]
        parts = []
        with np.errstate(all="ignore"):
            for first in range(0, count, STATES_AT_ONCE):
                part = states[first : first + STATES_AT_ONCE]
                for _ in range(n):
                    part = self.step(part)
                parts.append(self.read(part))
        return np.concatenate(parts)


class Baseline(BaseModel, ABC, frozen=True, extra="forbid"):
    """Abstract: settings of a cheap generator. A final class adds `kind` and its settings.

    `copies_noise` says whether its runs are made of measured rows and so carry their noise already; runs of the
    others are free of it, and a score that compares like with like adds it.
    """

    citation: ClassVar[str]
    copies_noise: ClassVar[bool] = False

    def fit(self, x: Any, *, dt: float | None = None, embedding: Embedding = PLAIN) -> Forecaster:
        """Learns from the training data; nothing is learnt across the edge of two pieces.

        Args:
            x: (T, N) or (T,) observations without gaps, or a list of such pieces, in any unit. A channel may be
                constant (it is then forecast as constant).
            dt: sampling step of the series; only the coefficients that SINDy finds depend on it. None counts as 1.
            embedding: delay coordinates in which kinds without a memory of their own (`ngrc`, `sampled`, `sindy`) see
                the data; the channels themselves by default. Give a trained model's embedding to compare with it.

        Returns:
            The forecaster, in the units of the data.

        Raises:
            EmptyData, BadShape, NotReal, NotFinite: a piece is empty, has three axes, text or gaps, or other
                channels than the first.
            TooShort: the pieces hold fewer rows than this kind needs.
            BadStep: dt is no positive number.
            SpecTooLarge: so many channels that the kind would need too many terms.
        """
        if dt is not None and not (np.isfinite(dt) and dt > 0):
            raise BadStep(f"dt must be a positive number, not {dt}", dt=str(dt))
        return self.learn(as_pieces(x), dt, embedding)

    @abstractmethod
    def learn(self, pieces: list[Floats], dt: float | None, embedding: Embedding) -> Forecaster:
        """`fit` for checked pieces (T_i, N)."""


def rows_of(x: Any, channels: int | None = None) -> Floats:
    """A series as finite (T, N) float64.

    Args:
        x: (T, N) or (T,) real numbers.
        channels: N that it must have; any where left out.

    Raises:
        BadShape, NotReal, NotFinite: it is not such a series.
    """
    array = np.asarray(x)
    if array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] == 0):
        raise BadShape(f"an array of shape {array.shape} is not (T,) or (T, N)", shape=list(array.shape))
    if array.dtype.kind not in "fiub":
        raise NotReal(f"an array of dtype {array.dtype} does not hold real numbers", dtype=str(array.dtype))
    rows = np.asarray(array.reshape(len(array), array.shape[1] if array.ndim == 2 else 1), np.float64)
    if channels is not None and rows.shape[1] != channels:
        raise BadShape(f"{rows.shape[1]} channels where {channels} were learnt", shape=list(array.shape))
    bad = np.argwhere(~np.isfinite(rows))
    if bad.size:
        row, column = bad[0].tolist()
        raise NotFinite(f"row {row}, column {column} is not finite", row=row, column=f"x{column}")
    return rows


def as_pieces(x: Any) -> list[Floats]:
    """One series, or a list of pieces of one, as checked arrays (T_i, N); see `Baseline.fit` for the errors."""
    several = isinstance(x, list | tuple) and all(isinstance(piece, np.ndarray) for piece in x)
    given: Sequence[Any] = x if several else [x]
    if not given or not any(np.size(piece) for piece in given):
        raise EmptyData("there are no rows to learn from")
    first = rows_of(given[0])
    pieces = [first, *(rows_of(piece, first.shape[1]) for piece in given[1:])]
    longest = max(map(len, pieces))
    if longest < MIN_ROWS:
        detail = f"the longest uninterrupted piece has {longest} rows; at least {MIN_ROWS} are needed"
        raise TooShort(detail, rows=longest, rows_needed=MIN_ROWS)
    return pieces
