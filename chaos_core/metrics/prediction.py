"""PE(n) and the MSE curve: mean squared errors of forecasts made n, or 1 to n, steps ahead."""

from typing import Any

import numpy as np

from chaos_core.errors import BadShape, Inconsistent
from chaos_core.metrics.base import Metric
from chaos_core.metrics.presets import preset_named
from chaos_core.metrics.score import Outcome, Score, first_gap, row_by_row, score_with_floor, two_series
from chaos_core.typing import Floats

__all__ = ["CURVE", "PE", "mse_curve", "prediction_error"]


def prediction_error(true: Any, predicted: Any, *, n: int = 20, preset: str = "dsr-v1", floor: bool = True) -> Score:
    """Mean squared error at exactly step n, over all rows that have a forecast and over all channels.

    PE(n) = mean over t >= n and channels of (predicted[t] - true[t])^2.

    Args:
        true: (T, N) or (T,) observations.
        predicted: same shape; `predicted[t]` is the forecast of `true[t]` made n steps earlier. Its first n rows
            have no forecast and are ignored, whatever they hold.
        n: steps ahead; 20 as in the published tables.
        preset: all presets define it in the same way; the published numbers belong to standardised data.
        floor: False leaves the floor out.

    Returns:
        Score in squared units of the data. `value` is None where no row has a forecast or an entry is not finite.
        `detail["relative"]` is the error divided by each channel's variance, averaged over channels (1 is a forecast
        by the mean), which can be compared across data sets; `detail["persistence"]` is the error of the forecast
        "as n steps ago". `floor` is this metric between the two halves of the truth, that is a forecast by an
        unrelated piece of the same series: for this metric it marks no skill, not perfection.

    Raises:
        UnknownKind: no preset of that name.
        Inconsistent: the shapes differ, or n is not a positive whole number.
        BadShape: not arrays of real numbers.

    Source: Koppe et al. (2019), doi:10.1371/journal.pcbi.1007263; n = 20 as in Hess et al. (2023), arXiv:2306.04406.
    """
    chosen = preset_named(preset)
    truth, forecast = row_by_row(true, predicted)
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise Inconsistent(f"n must be a positive whole number of steps, not {n}", n=str(n))
    steps = int(n)

    def measure(one: Floats, other: Floats) -> Outcome:
        found = _mean_squared(one, other[: len(one)], steps)
        return found._replace(detail={"preset": chosen.name, "n": steps, **found.detail})

    return score_with_floor(measure, truth, forecast, floor=floor)


def _mean_squared(true: Floats, predicted: Floats, n: int) -> Outcome:
    if len(true) <= n:
        return Outcome.undefined(f"{len(true)} rows leave no forecast {n} steps ahead")
    ahead, guess, past = true[n:], predicted[n:], true[:-n]
    reason = first_gap(true, "true") or first_gap(guess, f"predicted (counted from row {n})")
    if reason is not None:
        return Outcome.undefined(reason)
    with np.errstate(all="ignore"):
        channels = np.mean((guess - ahead) ** 2, axis=0)
        error = float(channels.mean())
        persistence = float(np.mean((past - ahead) ** 2))
        relative = float(np.mean(channels / true.var(axis=0)))
    if not np.isfinite(error):
        return Outcome.undefined("the squared error is larger than any number")
    detail: dict[str, Any] = {
        "rows_used": len(ahead),
        "channels": channels.tolist(),
        "persistence": persistence,
        "relative": relative,
        "floor_is": "a forecast by the other half of the series: no skill",
    }
    return Outcome(error, None, detail)


def mse_curve(true: Any, predicted: Any, *, preset: str = "dsr-v1", floor: bool = True) -> Score:
    """Mean squared error at each of the steps 1 to n, from the same starts at every step.

    MSE(k) = mean over starts i and channels of (predicted[k - 1, i] - true[i + k])^2, k = 1 to n. The value is the mean
    of the curve over k.

    Args:
        true: (T, N) or (T,) observations.
        predicted: (n, K, N) or (n, K), `predicted[k - 1, i]` being the forecast of `true[i + k]` made at row i;
            K is at most T - n, and the sources use all T - n rows. n was 25 in ChaosRNN and 20 in dendPLRNN.
        preset: all presets define it in the same way; the published numbers belong to standardised data.
        floor: False leaves the floor out.

    Returns:
        Score in squared units of the data. `value` is None where there is no forecast or an entry is not finite.
        `detail["curve"]` holds MSE(1) to MSE(n), `detail["relative"]` the same divided by each channel's variance and
        averaged over channels, `detail["persistence"]` that of the forecast "as at the start". `floor` is the mean
        of the curve of a forecast by the other half of the truth: no skill.

    Raises:
        UnknownKind: no preset of that name.
        Inconsistent: the numbers of channels differ, or the forecasts reach beyond the truth.
        BadShape: not arrays of real numbers with as many axes as needed.

    Source: Koppe et al. (2019), doi:10.1371/journal.pcbi.1007263; Mikhaeil et al. (2022), arXiv:2110.07238.
    """
    chosen = preset_named(preset)
    forecasts = np.asarray(predicted)
    if forecasts.ndim not in (2, 3):
        raise BadShape(f"predicted has shape {forecasts.shape}; (n, K, N) is needed", shape=list(forecasts.shape))
    steps, starts = forecasts.shape[:2]
    columns = forecasts.shape[2] if forecasts.ndim == 3 else 1
    truth, flat = two_series(true, forecasts.reshape(steps * starts, columns), "predicted")
    if starts and steps + starts > len(truth):
        raise Inconsistent(
            f"{starts} starts and {steps} steps reach beyond the {len(truth)} rows of true", rows_true=len(truth)
        )
    found = _curve(truth, flat.reshape(steps, starts, columns))
    detail = {"preset": chosen.name, **found.detail, "rows_true": len(truth)}
    if not floor:
        return Score(value=found.value, floor=None, reason=found.reason, detail=detail)
    halves = _curve_of_halves(truth, steps)
    if halves.reason is not None:
        detail["floor_reason"] = halves.reason
    return Score(value=found.value, floor=halves.value, reason=found.reason, detail=detail)


def _curve_of_halves(true: Floats, steps: int) -> Outcome:
    middle = len(true) // 2
    one, other = true[:middle], true[middle:]
    starts = max(0, middle - steps)
    return _curve(one, np.array([other[k : k + starts] for k in range(1, steps + 1)]))


def _curve(true: Floats, forecasts: Floats) -> Outcome:
    steps, starts = forecasts.shape[:2]
    if not forecasts.size:
        return Outcome.undefined("there is no forecast")
    reason = first_gap(true[: steps + starts], "true") or first_gap(
        forecasts.reshape(steps * starts, -1), f"predicted (row {starts} times the step, less one, plus the start)"
    )
    if reason is not None:
        return Outcome.undefined(reason)
    with np.errstate(all="ignore"):
        ahead = np.array([true[k : k + starts] for k in range(1, steps + 1)])
        channels = np.mean((forecasts - ahead) ** 2, axis=1)
        naive = np.mean((true[:starts] - ahead) ** 2, axis=(1, 2))
        relative = np.mean(channels / true.var(axis=0), axis=1)
        curve = channels.mean(axis=1)
        value = float(curve.mean())
    if not np.isfinite(value):
        return Outcome.undefined("the squared error is larger than any number")
    detail: dict[str, Any] = {
        "steps": steps,
        "starts": starts,
        "curve": curve.tolist(),
        "relative": relative.tolist(),
        "persistence": naive.tolist(),
        "floor_is": "a forecast by the other half of the series: no skill",
    }
    return Outcome(value, None, detail)


PE = Metric(measure=prediction_error, needs="forecast_from_every_row", better="low", unit="data squared")
CURVE = Metric(measure=mse_curve, needs="forecast_curve", better="low", unit="data squared")
