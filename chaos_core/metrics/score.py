"""What every metric answers: a number or the reason why there is none, and the number that truth itself would get."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, FiniteFloat, JsonValue, field_validator, model_validator

from chaos_core.errors import BadShape, Inconsistent, NotReal
from chaos_core.typing import Floats

__all__ = [
    "STILL",
    "Detail",
    "Outcome",
    "Score",
    "Scores",
    "first_gap",
    "row_by_row",
    "score_with_floor",
    "still_channel",
    "two_series",
]

Detail = dict[str, JsonValue]

STILL = 1e-12
"""A channel whose range is smaller than this share of its size differs from a constant by rounding only."""


class Score(BaseModel):
    """One metric of one comparison. Never NaN: `value` is None where the metric is undefined, and `reason` says why.

    Args:
        value: the metric, dimensionless unless the metric says otherwise; what is perfect says the metric.
        floor: the same metric between the first and the second half of the truth: what a perfect generator would
            roughly get at half the length. A value near the floor cannot be told from truth.
        reason: why `value` is None, as a sentence; None where there is a value.
        detail: preset and settings, lengths used (`floor_rows` for the halves), and what the metric wants to add. A
            number that is not finite is None in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: FiniteFloat | None
    floor: FiniteFloat | None
    reason: str | None = None
    detail: Detail = {}

    @field_validator("detail", mode="before")
    @classmethod
    def _finite_or_none(cls, detail: Any) -> Any:
        return _without_infinities(detail)

    @model_validator(mode="after")
    def _value_or_reason(self) -> Self:
        if (self.value is None) == (self.reason is None):
            raise ValueError("a score has either a value or a reason")
        return self


def _without_infinities(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_infinities(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinities(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Scores(BaseModel):
    """The scores of a trained model on its test piece; JSON-able. A baseline has the first four.

    Args:
        d_stsp, d_h: geometry and spectra of a long free run.
        prediction_error: PE(n) from every row.
        power_spectrum_correlation: of the same free run, higher is better.
        valid_prediction_time: in Lyapunov times, higher is better.
        lambda_ratio: the model's largest Lyapunov exponent over the data's; 1 is right.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    d_stsp: Score
    d_h: Score
    prediction_error: Score
    power_spectrum_correlation: Score | None = None
    valid_prediction_time: Score | None = None
    lambda_ratio: Score | None = None


class Outcome(NamedTuple):
    """What a metric found on one pair: a number, or None and the reason."""

    value: float | None
    reason: str | None
    detail: Detail

    @classmethod
    def undefined(cls, reason: str, **detail: JsonValue) -> Self:
        """No number, and why."""
        return cls(None, reason, detail)


def _matrix(x: Any, role: str) -> Floats:
    array = np.asarray(x)
    if array.ndim not in (1, 2):
        raise BadShape(f"{role} has shape {array.shape}; (T,) or (T, N) is needed", shape=list(array.shape))
    if array.dtype.kind not in "fiub":
        raise NotReal(f"{role} has dtype {array.dtype}, which does not hold real numbers", dtype=str(array.dtype))
    columns = array.shape[1] if array.ndim == 2 else 1
    if columns == 0:
        raise BadShape(f"{role} has no columns", shape=list(array.shape))
    return array.reshape(len(array), columns).astype(np.float64)


def two_series(true: Any, other: Any, role: str = "generated") -> tuple[Floats, Floats]:
    """Both series as (T, N) float64.

    Args:
        true: (T, N) or (T,) observations.
        other: (T', N) or (T',), the series to compare; the lengths may differ.
        role: name of `other` in error sentences.

    Raises:
        BadShape: one of them is not an array of real numbers with one or two axes.
        Inconsistent: they have different numbers of columns.
    """
    first, second = _matrix(true, "true"), _matrix(other, role)
    if first.shape[1] != second.shape[1]:
        raise Inconsistent(
            f"true has {first.shape[1]} columns and {role} has {second.shape[1]}; both must have the same channels",
            columns_true=first.shape[1],
            columns_other=second.shape[1],
        )
    return first, second


def row_by_row(true: Any, predicted: Any) -> tuple[Floats, Floats]:
    """Both series as (T, N) float64, `predicted[t]` being a forecast of `true[t]`.

    Raises:
        BadShape, Inconsistent: as in `two_series`.
        Inconsistent: they have different numbers of rows.
    """
    truth, forecast = two_series(true, predicted, "predicted")
    if len(truth) != len(forecast):
        raise Inconsistent(
            f"true has {len(truth)} rows and predicted has {len(forecast)}; predicted[t] must belong to true[t]",
            rows_true=len(truth),
            rows_other=len(forecast),
        )
    return truth, forecast


def first_gap(x: Floats, role: str) -> str | None:
    """A sentence that names the first entry of (T, N) that is not finite; None where all are."""
    finite = np.isfinite(x)
    if finite.all():
        return None
    bad = ~finite
    row, column = (int(i) for i in np.argwhere(bad)[0])
    return f"{role} is not finite: {x[row, column]} at row {row}, column {column} ({int(bad.sum())} such entries)"


def still_channel(x: Floats, role: str) -> str | None:
    """A sentence that names the first constant column of (T, N); None where all of them vary."""
    columns = np.ascontiguousarray(x.T)
    low, high = columns.min(axis=1), columns.max(axis=1)
    still = np.flatnonzero(high / 2 - low / 2 <= STILL * np.maximum(np.abs(low), np.abs(high)))
    if not still.size:
        return None
    column = int(still[0])
    return f"{role} is constant in column {column} ({low[column]:g} in every row)"


def score_with_floor(
    measure: Callable[[Floats, Floats], Outcome], true: Floats, other: Floats, *, floor: bool = True
) -> Score:
    """Measures the pair, and the two halves of `true` for the floor.

    Args:
        measure: the metric on two (T, N) series.
        true: (T, N).
        other: (T', N).
        floor: False leaves the halves out, for comparisons by the thousand.

    Returns:
        The score; `detail` holds the lengths (`rows_true`, `rows_other`, `floor_rows`), and `floor_reason` where the
        halves give no number. The second half has one row more where T is odd.
    """
    found = measure(true, other)
    detail: Detail = {**found.detail, "rows_true": len(true), "rows_other": len(other)}
    if not floor:
        return Score(value=found.value, floor=None, reason=found.reason, detail=detail)
    middle = len(true) // 2
    halves = measure(true[:middle], true[middle:])
    detail["floor_rows"] = [middle, len(true) - middle]
    if halves.reason is not None:
        detail["floor_reason"] = halves.reason
    return Score(value=found.value, floor=halves.value, reason=found.reason, detail=detail)
