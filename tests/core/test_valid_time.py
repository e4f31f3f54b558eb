import math

import numpy as np
import pytest

from chaos_core.errors import Inconsistent
from chaos_core.metrics import valid_prediction_time


def test_an_error_that_grows_by_the_exponent_is_valid_for_the_logarithm_of_the_threshold() -> None:
    """Error e0 exp(lambda t) of spread 1 passes 0.4 after ln(0.4 / e0) Lyapunov times."""
    rate, start = 0.02, 1e-4
    t = np.arange(1, 1001)
    true = np.zeros((1000, 2)) + np.random.default_rng(0).standard_normal((1000, 2))
    score = valid_prediction_time(
        true, true + start * np.exp(rate * t)[:, None], lambda_max_per_step=rate, error="nrmse", spread=[1.0, 1.0]
    )
    assert score.value == pytest.approx(math.log(0.4 / start), abs=2 * rate)
    assert score.detail["to_the_end"] is False


def test_the_running_smape_is_the_mean_over_all_rows_so_far() -> None:
    """Terms 0, 0, 0, 100, ... : the running mean is 0, 0, 0, 25, 40, so four rows stay below 30."""
    true = np.ones(10)
    predicted = np.array([1.0, 1.0, 1.0] + [3.0] * 7)
    score = valid_prediction_time(true, predicted, lambda_max_per_step=0.5)
    assert (score.value, score.detail["rows_valid"]) == (2.0, 4)
    strict = valid_prediction_time(true, predicted, lambda_max_per_step=0.5, threshold=20)
    assert strict.detail["rows_valid"] == 3


def test_the_normalised_error_is_that_of_each_row_alone() -> None:
    true = np.tile([1.0, -1.0], 10)
    predicted = true.copy()
    predicted[5] += 0.5
    score = valid_prediction_time(true, predicted, lambda_max_per_step=1.0, error="nrmse")
    assert score.detail["rows_valid"] == 5
    lenient = valid_prediction_time(true, predicted, lambda_max_per_step=1.0, error="nrmse", threshold=0.6)
    assert (lenient.value, lenient.detail["to_the_end"]) == (20.0, True)


def test_a_forecast_that_breaks_down_is_valid_until_then() -> None:
    true = np.arange(1.0, 11.0)
    predicted = np.where(true > 6, np.nan, true)
    for error in ("smape", "nrmse"):
        score = valid_prediction_time(true, predicted, lambda_max_per_step=0.1, error=error)
        assert score.value == pytest.approx(0.6)


def test_a_wrong_first_row_is_zero_and_a_perfect_forecast_lasts_to_the_end() -> None:
    true = np.random.default_rng(0).standard_normal((30, 2))
    assert valid_prediction_time(true, -true, lambda_max_per_step=1.0).value == 0.0
    perfect = valid_prediction_time(true, true, lambda_max_per_step=0.1)
    assert perfect.value == pytest.approx(3.0) and perfect.detail["to_the_end"] is True
    assert perfect.floor is not None and perfect.floor < 1.0


@pytest.mark.parametrize("rate", [None, 0.0, -0.1, math.nan, math.inf])
def test_without_a_positive_exponent_there_is_no_lyapunov_time_but_the_rows_are_counted(rate: float | None) -> None:
    score = valid_prediction_time(np.ones(5), np.ones(5), lambda_max_per_step=rate)
    assert score.reason == "without a positive exponent there is no Lyapunov time"
    assert score.detail["rows_valid"] == 5


def test_a_truth_that_is_not_finite_or_has_no_unit_has_a_reason() -> None:
    x = np.ones(5)
    assert "constant" in str(valid_prediction_time(x, x, lambda_max_per_step=1.0, error="nrmse").reason)
    assert "not finite" in str(valid_prediction_time(x * np.nan, x, lambda_max_per_step=1.0).reason)
    assert "no forecast" in str(valid_prediction_time([], [], lambda_max_per_step=1.0).reason)


def test_misuse_is_an_error() -> None:
    x = np.ones(5)
    for words in ({"error": "rmse"}, {"threshold": 0.0}, {"threshold": math.nan}, {"spread": [1.0, 1.0]}):
        with pytest.raises(Inconsistent):
            valid_prediction_time(x, x, lambda_max_per_step=1.0, **words)
