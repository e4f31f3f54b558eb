import numpy as np
import pytest

from chaos_core.errors import BadShape, Inconsistent, UnknownKind
from chaos_core.metrics import PRESETS, mse_curve, prediction_error


def walk(rows: int = 400, channels: int = 2) -> np.ndarray:
    return np.cumsum(np.random.default_rng(0).standard_normal((rows, channels)), axis=0)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("n", [1, 20, 399])
def test_it_is_the_mean_squared_error_of_rows_that_have_a_forecast(preset: str, n: int) -> None:
    true = walk()
    predicted = true + np.random.default_rng(1).standard_normal(true.shape)
    expected = sum((predicted[t, i] - true[t, i]) ** 2 for t in range(n, 400) for i in (0, 1)) / (2 * (400 - n))
    assert prediction_error(true, predicted, n=n, preset=preset).value == pytest.approx(expected, rel=1e-12)


def test_the_first_n_rows_are_ignored_whatever_they_hold() -> None:
    true = walk()
    predicted = true.copy()
    predicted[:20] = np.nan
    assert prediction_error(true, predicted).value == 0.0


def test_a_constant_offset_gives_its_square_and_persistence_stands_beside_it() -> None:
    true = np.arange(100.0)
    score = prediction_error(true, true + 3.0, n=10)
    assert score.value == 9.0
    assert score.detail["persistence"] == 100.0
    assert score.detail["relative"] == pytest.approx(9.0 / true.var())


def test_the_forecast_by_the_mean_has_relative_error_one() -> None:
    true = np.random.default_rng(0).standard_normal((50_000, 2)) * [1.0, 1000.0]
    relative = prediction_error(true, np.zeros_like(true)).detail["relative"]
    assert relative == pytest.approx(1.0, abs=0.02)


def test_the_floor_is_the_metric_between_the_halves() -> None:
    true = walk(401)
    score = prediction_error(true, true)
    assert score.floor == prediction_error(true[:200], true[200:400]).value
    assert score.detail["floor_rows"] == [200, 201]


def test_a_forecast_that_is_not_finite_is_named() -> None:
    true = walk()
    predicted = true.copy()
    predicted[25, 1] = np.inf
    score = prediction_error(true, predicted)
    assert score.value is None
    assert score.reason is not None and "counted from row 20) is not finite: inf at row 5, column 1" in score.reason
    assert prediction_error(true, np.full_like(true, 1e200)).reason == "the squared error is larger than any number"


def test_too_few_rows_have_a_reason() -> None:
    score = prediction_error(walk(20), walk(20))
    assert (score.value, score.floor) == (None, None)
    assert score.reason == "20 rows leave no forecast 20 steps ahead"
    assert prediction_error(walk(30), walk(30)).detail["floor_reason"] == "15 rows leave no forecast 20 steps ahead"


@pytest.mark.parametrize("n", [0, -1, 2.0, True])
def test_steps_must_be_a_positive_whole_number(n: float) -> None:
    with pytest.raises(Inconsistent):
        prediction_error(walk(), walk(), n=n)


def test_misuse_is_an_error_and_not_a_score() -> None:
    with pytest.raises(Inconsistent, match="400 rows and predicted has 399"):
        prediction_error(walk(), walk(399))
    with pytest.raises(Inconsistent, match="columns"):
        prediction_error(walk(), walk(channels=3))
    with pytest.raises(BadShape):
        prediction_error(walk()[None], walk())
    with pytest.raises(UnknownKind):
        prediction_error(walk(), walk(), preset="?")


def ahead(x: np.ndarray, steps: int) -> np.ndarray:
    return np.array([x[k : k + len(x) - steps] for k in range(1, steps + 1)])


def test_the_curve_is_the_error_at_each_step_from_the_same_starts() -> None:
    true = walk(100)
    forecasts = ahead(true, 7) + np.random.default_rng(1).standard_normal((7, 93, 2))
    score = mse_curve(true, forecasts)
    expected = [np.mean([(forecasts[k - 1, i] - true[i + k]) ** 2 for i in range(93)]) for k in range(1, 8)]
    assert score.detail["curve"] == pytest.approx(expected, rel=1e-12)
    assert score.value == pytest.approx(np.mean(expected))


def test_the_last_point_of_the_curve_is_the_error_at_that_step() -> None:
    true = walk(200)
    forecasts = 0.9 * ahead(true, 20)
    late = np.full_like(true, np.nan)
    late[20:] = forecasts[-1]
    assert mse_curve(true, forecasts).detail["curve"][-1] == pytest.approx(prediction_error(true, late).value)


def test_persistence_has_the_curve_of_persistence_and_grows_linearly_on_a_random_walk() -> None:
    true = walk(50_000)
    still = np.broadcast_to(true[None, :-10], (10, 49_990, 2))
    score = mse_curve(true, still)
    assert score.detail["curve"] == pytest.approx(score.detail["persistence"], rel=1e-9)
    assert score.detail["curve"] == pytest.approx(np.arange(1, 11), rel=0.05)


def test_the_floor_of_the_curve_is_a_forecast_by_the_other_half() -> None:
    true = walk(101)
    score = mse_curve(true, ahead(true, 5))
    assert score.value == 0.0
    assert score.floor == mse_curve(true[:50], ahead(true[50:100], 5)).value


def test_one_channel_may_come_without_its_axis_and_fewer_starts_are_enough() -> None:
    true = walk(60, 1)
    flat = mse_curve(true[:, 0], ahead(true, 4)[:, :30, 0])
    assert flat.value == 0.0 and flat.detail["starts"] == 30


def test_forecasts_that_are_not_there_or_not_finite_have_a_reason_and_wrong_shapes_an_error() -> None:
    true = walk(60)
    assert mse_curve(true, np.zeros((3, 0, 2))).reason == "there is no forecast"
    assert "not finite" in str(mse_curve(true, np.full((3, 50, 2), np.nan)).reason)
    assert mse_curve(true, np.full((3, 50, 2), 1e200)).reason == "the squared error is larger than any number"
    with pytest.raises(Inconsistent, match="reach beyond"):
        mse_curve(true, np.zeros((3, 58, 2)))
    with pytest.raises(Inconsistent, match="columns"):
        mse_curve(true, np.zeros((3, 50, 3)))
    with pytest.raises(BadShape):
        mse_curve(true, np.zeros(5))
