import numpy as np
import pytest

from chaos_core.errors import Inconsistent
from chaos_core.metrics import mase, smape


def test_mase_by_hand() -> None:
    """Naive error 1 and 2 a step, errors 0.5 and 3 in the mean: (0.5 + 1.5) / 2."""
    true = np.stack([np.arange(5.0), 2 * np.arange(5.0)], axis=1)
    predicted = true + np.array([[0.5, 3.0], [-0.5, 3.0], [0.5, -3.0], [0.5, 3.0], [-0.5, 3.0]])
    score = mase(true, predicted)
    assert score.value == pytest.approx((0.5 + 1.5) / 2)
    assert score.detail["channels"] == pytest.approx([0.5, 1.5])


def test_the_naive_forecast_of_the_history_has_mase_one() -> None:
    x = np.cumsum(np.random.default_rng(0).standard_normal((400, 3)), axis=0)
    assert mase(x[1:], x[:-1], history=x).value == pytest.approx(1.0)


def test_the_history_sets_the_scale_in_place_of_the_truth() -> None:
    true, history = np.arange(10.0), 4 * np.arange(30.0)
    assert mase(true, true + 1.0).value == pytest.approx(1.0)
    assert mase(true, true + 1.0, history=history).value == pytest.approx(0.25)


def test_preset_dynamix_counts_ten_rows_and_divides_by_the_forecasts_own_steps() -> None:
    true = np.arange(50.0)
    predicted = 2 * true
    predicted[10:] = 1e6
    expected = np.mean(np.arange(10.0)) / np.mean(np.abs(np.diff(predicted)))
    assert mase(true, predicted, preset="dynamix").value == pytest.approx(expected, rel=1e-6)


def test_smape_by_hand_with_both_extremes() -> None:
    """Terms 200 * 1/3, 200 (opposite signs), 0 (both zero)."""
    assert smape([1.0, 1.0, 0.0], [2.0, -1.0, 0.0]).value == pytest.approx((200 / 3 + 200 + 0) / 3)
    assert smape([3.0, 5.0], [0.0, 0.0]).value == 200.0
    assert smape([3.0, 5.0], [3.0, 5.0]).value == 0.0


def test_smape_is_symmetric_and_free_of_the_unit_but_not_of_the_zero() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((50, 2)), rng.standard_normal((50, 2))
    assert smape(x, y).value == pytest.approx(smape(y, x).value)
    assert smape(x, y).value == pytest.approx(smape(-1e200 * x, -1e200 * y).value)
    assert smape(x + 100, y + 100).value < 5


def test_the_floor_is_a_forecast_by_the_other_half() -> None:
    x = np.random.default_rng(0).standard_normal((41, 2))
    assert smape(x, x).floor == smape(x[:20], x[20:40]).value
    assert mase(x, x).floor == mase(x[:20], x[20:40]).value


def test_what_cannot_be_scaled_has_a_reason() -> None:
    x = np.arange(10.0)
    assert "constant" in str(mase(np.ones(10), x).reason)
    assert "history is constant" in str(mase(x, x, history=np.ones(5)).reason)
    assert "no naive forecast" in str(mase(x[:1], x[:1]).reason)
    assert "preset gtf has no MASE" in str(mase(x, x, preset="gtf").reason)
    assert "not finite" in str(mase(x, np.where(x > 5, np.nan, x)).reason)
    assert "not finite" in str(smape(x, np.where(x > 5, np.nan, x)).reason)
    assert "no forecast" in str(smape([], []).reason)


@pytest.mark.parametrize("metric", [mase, smape])
def test_series_of_different_lengths_are_an_error(metric: object) -> None:
    with pytest.raises(Inconsistent, match="must belong"):
        metric(np.arange(5.0), np.arange(6.0))
    with pytest.raises(Inconsistent, match="same channels"):
        mase(np.arange(5.0), np.arange(5.0), history=np.ones((4, 2)))
