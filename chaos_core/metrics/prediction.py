"""PE(n): mean squared error of forecasts made n steps ahead."""

from typing import Any

import numpy as np

from chaos_core.errors import Inconsistent
from chaos_core.metrics.presets import preset_named
from chaos_core.metrics.score import Outcome, Score, first_gap, score_with_floor, two_series
from chaos_core.typing import Floats

__all__ = ["prediction_error"]


def prediction_error(true: Any, predicted: Any, *, n: int = 20, preset: str = "dsr-v1") -> Score:
    """Mean squared error at exactly step n, over all rows that have a forecast and over all channels.

    PE(n) = mean over t >= n and channels of (predicted[t] - true[t])^2.

    Args:
        true: (T, N) or (T,) observations.
        predicted: same shape; `predicted[t]` is the forecast of `true[t]` made n steps earlier. Its first n rows
            have no forecast and are ignored, whatever they hold.
        n: steps ahead; 20 as in the published tables.
        preset: all presets define it in the same way; the published numbers belong to standardised data.

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
    truth, forecast = two_series(true, predicted, "predicted")
    if len(truth) != len(forecast):
        raise Inconsistent(
            f"true has {len(truth)} rows and predicted has {len(forecast)}; predicted[t] must belong to true[t]",
            rows_true=len(truth),
            rows_other=len(forecast),
        )
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise Inconsistent(f"n must be a positive whole number of steps, not {n}", n=str(n))
    steps = int(n)

    def measure(one: Floats, other: Floats) -> Outcome:
        found = _mean_squared(one, other[: len(one)], steps)
        return found._replace(detail={"preset": chosen.name, "n": steps, **found.detail})

    return score_with_floor(measure, truth, forecast)


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
        "persistence": persistence if np.isfinite(persistence) else None,
        "relative": relative if np.isfinite(relative) else None,
        "floor_is": "a forecast by the other half of the series: no skill",
    }
    return Outcome(error, None, detail)
