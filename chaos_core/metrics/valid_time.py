"""Valid prediction time: how many Lyapunov times a forecast stays near the truth."""

import math
from typing import Any, Literal

import numpy as np

from chaos_core.errors import Inconsistent
from chaos_core.metrics.base import Metric
from chaos_core.metrics.presets import preset_named
from chaos_core.metrics.scaled_error import NO_SKILL, relative_errors
from chaos_core.metrics.score import Detail, Outcome, Score, first_gap, row_by_row, score_with_floor, still_channel
from chaos_core.typing import Floats

__all__ = ["THRESHOLDS", "VPT", "valid_prediction_time"]

ErrorKind = Literal["smape", "nrmse"]

THRESHOLDS: dict[ErrorKind, float] = {"smape": 30.0, "nrmse": 0.4}
"""The usual limits: 30 % in the work of Gilpin and in Panda, 0.4 in that of Pathak et al."""


def valid_prediction_time(
    true: Any,
    predicted: Any,
    *,
    lambda_max_per_step: float | None,
    error: ErrorKind = "smape",
    threshold: float | None = None,
    spread: Any = None,
    preset: str = "dsr-v1",
    floor: bool = True,
) -> Score:
    """The rows before a forecast's error first exceeds a threshold, in units of the Lyapunov time 1 / lambda_max.

    VPT = lambda_max * #{rows before the first t with error(t) > threshold}, by one of two errors:

    smape: the sMAPE of all rows up to t, so a running mean, averaged over channels, in per cent.
    nrmse: sqrt(mean over channels of (predicted[t] - true[t])^2 / spread^2) of row t alone.

    A row of the forecast that is not finite exceeds every threshold.

    Args:
        true: (T, N) or (T,) observations.
        predicted: same shape, one forecast that goes on by itself; row 0 is one step ahead.
        lambda_max_per_step: largest exponent of the data, nats per row. None or not positive: no Lyapunov time.
        error: see above; "smape" is the default of today's benchmarks, "nrmse" does not depend on the data's zero.
        threshold: of the error; None takes 30 for smape and 0.4 for nrmse.
        spread: (N,) standard deviation of each channel for nrmse, best from a long piece. None takes that of `true`.
        preset: all presets define it in the same way.
        floor: False leaves the floor out.

    Returns:
        Score in Lyapunov times, higher is better; 0 where the first row is already wrong. One forecast says little:
        average over starts. `value` is None where the truth is not finite or has no rows, where there is no positive
        exponent, or where a channel does not vary and nrmse has no unit. `detail["rows_valid"]` counts the rows;
        `detail["to_the_end"]` is true where the error stayed below the threshold until the last row, so that the value
        is only a lower bound. `floor` is this metric for a forecast by the other half of the truth: no skill.

    Raises:
        UnknownKind: no preset of that name.
        Inconsistent, BadShape: the series do not fit together, or error, threshold or spread make no sense.

    Source: smape: W. Gilpin (2023), doi:10.1103/PhysRevResearch.5.043252, arXiv:2303.08011, and the benchmarks built
        on it. nrmse: J. Pathak et al. (2018), doi:10.1103/PhysRevLett.120.024102 (0.4, all channels in one norm);
        P. R. Vlachas et al. (2020), doi:10.1016/j.neunet.2020.02.016 (each channel by its own deviation).
    Differs: Pathak et al. divide by the root mean square of the state, whose mean is zero in their system; here the
        mean is taken away. Several channels share one running sMAPE.
    """
    chosen = preset_named(preset)
    truth, forecast = row_by_row(true, predicted)
    limit = _threshold(error, threshold)
    scale = None if spread is None else _spread(spread, truth.shape[1])
    exponent = None if lambda_max_per_step is None else float(lambda_max_per_step)

    def measure(one: Floats, other: Floats) -> Outcome:
        found = _valid(one, other[: len(one)], error, limit, scale)
        detail: Detail = {"preset": chosen.name, "error": error, "threshold": limit, "lambda_max_per_step": exponent}
        return _in_lyapunov_times(found._replace(detail={**detail, "floor_is": NO_SKILL, **found.detail}), exponent)

    return score_with_floor(measure, truth, forecast, floor=floor)


def _in_lyapunov_times(rows: Outcome, lambda_max_per_step: float | None) -> Outcome:
    if rows.value is None:
        return rows
    if lambda_max_per_step is None or not 0 < lambda_max_per_step < math.inf:
        return rows._replace(value=None, reason="without a positive exponent there is no Lyapunov time")
    return rows._replace(value=rows.value * lambda_max_per_step)


def _threshold(error: ErrorKind, threshold: float | None) -> float:
    if error not in THRESHOLDS:
        raise Inconsistent(f"error must be 'smape' or 'nrmse', not '{error}'", error=str(error))
    limit = THRESHOLDS[error] if threshold is None else float(threshold)
    if not 0 < limit < math.inf:
        raise Inconsistent(f"threshold must be positive, not {limit}", threshold=str(limit))
    return limit


def _spread(spread: Any, channels: int) -> Floats:
    scale = np.atleast_1d(np.asarray(spread, np.float64))
    if scale.shape != (channels,) or not (np.isfinite(scale) & (scale > 0)).all():
        raise Inconsistent(f"spread must hold {channels} positive numbers, one a channel")
    return scale


def _valid(true: Floats, predicted: Floats, error: str, limit: float, scale: Floats | None) -> Outcome:
    """The number of valid rows as a value."""
    reason = first_gap(true, "true") if len(true) else "there is no forecast"
    if reason is None and error == "nrmse" and scale is None:
        reason = still_channel(true, "true")
    if reason is not None:
        return Outcome.undefined(reason)
    with np.errstate(all="ignore"):
        if error == "smape":
            rows = relative_errors(true, predicted).mean(axis=1)
            errors = np.cumsum(rows) / np.arange(1, len(true) + 1)
        else:
            unit = true.std(axis=0) if scale is None else scale
            errors = np.sqrt(np.mean(((predicted - true) / unit) ** 2, axis=1))
    wrong = np.flatnonzero(~(errors <= limit))
    valid = int(wrong[0]) if wrong.size else len(true)
    return Outcome(float(valid), None, {"rows_valid": valid, "to_the_end": not wrong.size})


VPT = Metric(
    measure=valid_prediction_time,
    needs="forecast_path",
    better="high",
    unit="lyapunov times",
    requires=("lambda_max_per_step",),
)
