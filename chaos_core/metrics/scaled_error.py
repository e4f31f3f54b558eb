"""MASE and sMAPE: absolute errors of one forecast, made free of the data's unit."""

from typing import Any

import numpy as np

from chaos_core.metrics.base import Metric
from chaos_core.metrics.presets import ScaledError, preset_named
from chaos_core.metrics.score import Outcome, Score, first_gap, row_by_row, score_with_floor, still_channel, two_series
from chaos_core.typing import Floats

__all__ = ["MASE", "SMAPE", "mase", "relative_errors", "smape"]

NO_SKILL = "a forecast by the other half of the series: no skill"


def mase(true: Any, predicted: Any, *, preset: str = "dsr-v1", floor: bool = True, history: Any = None) -> Score:
    """Mean absolute scaled error: the error of a forecast over that of "the same as one step ago".

    MASE = mean over channels of mean_t |predicted - true| / mean_t |s[t] - s[t - 1]|. Below 1 the forecast is better,
    over its whole length, than the naive one is over a single step; with finely sampled data the naive forecast is
    very good, so that long forecasts of chaos have large values.

    Args:
        true: (T, N) or (T,) observations.
        predicted: same shape, one forecast that goes on by itself; `predicted[t]` belongs to `true[t]`.
        preset: the settings; "dsr-v1" counts all rows. Preset dynamix counts the first ten.
        floor: False leaves the floor out.
        history: (T', N), the series s whose naive error divides, say what the forecaster has seen. None takes the
            truth itself. Preset dynamix always takes the forecast.

    Returns:
        Score, dimensionless. `value` is None where an entry is not finite, where a channel of s is constant, where the
        forecast has fewer than two rows, or where the preset has no such metric. `floor` is this metric for a forecast
        by the other half of the truth: no skill.

    Raises:
        UnknownKind: no preset of that name.
        Inconsistent, BadShape: the series do not fit together.

    Source: R. J. Hyndman, A. B. Koehler (2006), Another look at measures of forecast accuracy,
        doi:10.1016/j.ijforecast.2006.03.001; preset dynamix: Hemmer and Durstewitz (2025), arXiv:2505.13192.
    Differs: Hyndman and Koehler divide by the naive error on the data before the forecast: give `history` for that.
        Preset dynamix keeps the habit of its code's callers, which give the two series in the other order than the
        function names them: its naive error is that of the forecast, which favours forecasts that jump.
    """
    chosen = preset_named(preset)
    truth, forecast = row_by_row(true, predicted)
    past = None if history is None else two_series(true, history, "history")[1]
    rules = chosen.mase

    def measure(one: Floats, other: Floats) -> Outcome:
        if rules is None:
            return Outcome.undefined(f"preset {chosen.name} has no MASE", preset=chosen.name)
        found = _scaled(one, other[: len(one)], rules, past)
        return found._replace(detail={"preset": chosen.name, "floor_is": NO_SKILL, **found.detail})

    return score_with_floor(measure, truth, forecast, floor=floor)


def _scaled(true: Floats, predicted: Floats, rules: ScaledError, past: Floats | None) -> Outcome:
    ahead, guess = true[: rules.steps], predicted[: rules.steps]
    source, role = (predicted, "predicted") if rules.scale == "generated" else (true, "true")
    if past is not None and rules.scale == "true":
        source, role = past, "history"
    if len(source) <= rules.lag or not len(guess):
        return Outcome.undefined(f"{len(source)} rows of {role} have no naive forecast {rules.lag} steps ahead")
    reason = first_gap(ahead, "true") or first_gap(guess, "predicted") or first_gap(source, role)
    if reason is None and not rules.guard:
        reason = still_channel(source, role)
    if reason is not None:
        return Outcome.undefined(reason)
    with np.errstate(all="ignore"):
        naive = np.abs(source[rules.lag :] - source[: -rules.lag]).mean(axis=0) + rules.guard
        channels = np.abs(guess - ahead).mean(axis=0) / naive
        value = float(channels.mean())
    if not np.isfinite(value):
        return Outcome.undefined("the error is larger than any number")
    detail: dict[str, Any] = {"rows_used": len(guess), "scale": role, "channels": channels.tolist()}
    return Outcome(value, None, detail)


def smape(true: Any, predicted: Any, *, preset: str = "dsr-v1", floor: bool = True) -> Score:
    """Symmetric mean absolute percentage error of a forecast, from 0 to 200.

    sMAPE = (200 / T) sum_t |predicted[t] - true[t]| / (|predicted[t]| + |true[t]|), averaged over channels; where both
    are 0 the term counts 0.

    Args:
        true: (T, N) or (T,) observations.
        predicted: same shape, one forecast that goes on by itself; `predicted[t]` belongs to `true[t]`.
        preset: all presets define it in the same way.
        floor: False leaves the floor out.

    Returns:
        Score in per cent. It depends on where the data have their zero: near a zero crossing every error is large, and
        data far from zero have small errors only. `value` is None where an entry is not finite or there are no rows.
        `floor` is this metric for a forecast by the other half of the truth: no skill.

    Raises:
        UnknownKind: no preset of that name.
        Inconsistent, BadShape: the series do not fit together.

    Source: W. Gilpin (2023), Model scale versus domain knowledge in statistical forecasting of chaotic systems,
        doi:10.1103/PhysRevResearch.5.043252, arXiv:2303.08011 (the definition with the factor 200).
    """
    chosen = preset_named(preset)
    truth, forecast = row_by_row(true, predicted)

    def measure(one: Floats, other: Floats) -> Outcome:
        guess = other[: len(one)]
        if not len(one):
            return Outcome.undefined("there is no forecast")
        reason = first_gap(one, "true") or first_gap(guess, "predicted")
        if reason is not None:
            return Outcome.undefined(reason, preset=chosen.name)
        channels = relative_errors(one, guess).mean(axis=0)
        detail: dict[str, Any] = {"preset": chosen.name, "channels": channels.tolist(), "floor_is": NO_SKILL}
        return Outcome(float(channels.mean()), None, detail)

    return score_with_floor(measure, truth, forecast, floor=floor)


def relative_errors(true: Floats, predicted: Floats) -> Floats:
    """200 |p - x| / (|p| + |x|) of each entry, 0 where both are 0, NaN where one is not finite; any equal shapes."""
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(true), np.abs(predicted))
        x, p = true / size, predicted / size
        errors: Floats = np.where(size == 0, 0.0, 200 * np.abs(p - x) / (np.abs(p) + np.abs(x)))
    return errors


MASE = Metric(measure=mase, needs="forecast_path", better="low", unit="none")
SMAPE = Metric(measure=smape, needs="forecast_path", better="low", unit="per cent")
