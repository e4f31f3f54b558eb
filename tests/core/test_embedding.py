import numpy as np
import pytest

from chaos_core.embedding import Embedding, delay_embed, unit_variance
from chaos_core.errors import TooShort
from chaos_core.reconstruction import (
    choose_embedding,
    dominant_period,
    estimate_dimension,
    estimate_lag,
    theiler_window,
)
from chaos_core.systems import ar1, henon, logistic, lorenz63, sine, white_noise


def test_delay_vectors_are_newest_first_with_all_channels_of_one_time_together() -> None:
    x = np.arange(20.0).reshape(10, 2)
    embedded = delay_embed(x, Embedding(dim=3, lag=2))
    assert embedded.shape == (6, 6)
    np.testing.assert_array_equal(embedded[0], [*x[4], *x[2], *x[0]])
    np.testing.assert_array_equal(embedded[:, :2], x[4:])


def test_an_embedding_of_dimension_one_is_the_series_itself() -> None:
    x = np.random.default_rng(0).standard_normal((50, 3))
    np.testing.assert_array_equal(delay_embed(x, Embedding()), x)


def test_a_series_shorter_than_its_delay_window_says_how_many_rows_it_needs() -> None:
    with pytest.raises(TooShort) as caught:
        delay_embed(np.zeros((6, 1)), Embedding(dim=4, lag=2))
    assert caught.value.fields == {"rows": 6, "rows_needed": 7}


@pytest.mark.parametrize("period", [8.0, 40.3, 333.3])
def test_the_dominant_period_of_a_sine_is_its_period(period: float) -> None:
    assert dominant_period(sine(20_000, period=period).x) == pytest.approx(period, rel=0.01)


def test_the_dominant_period_of_white_noise_is_four_rows() -> None:
    assert dominant_period(white_noise(8000).x) == pytest.approx(4.0, rel=0.05)


def test_the_theiler_window_is_one_period() -> None:
    assert (theiler_window(40.3), theiler_window(1.2)) == (41, 2)


def test_the_lag_of_red_noise_is_where_its_autocorrelation_has_fallen_to_one_over_e() -> None:
    lag, source = estimate_lag(ar1(50_000, memory=0.95).x, 40.0)
    assert source == "autocorrelation"
    assert lag == pytest.approx(-1 / np.log(0.95), rel=0.15)


def test_one_value_determines_the_next_of_the_logistic_map_and_two_that_of_henon() -> None:
    assert estimate_dimension(logistic(4000).x, 1, 4) == 1
    assert estimate_dimension(henon(4000).x[:, :1], 1, 4) == 2
    assert estimate_dimension(henon(4000).x, 1, 4) == 1


def test_a_scalar_lorenz_series_is_embedded_in_three_or_four_dimensions_with_a_lag_of_a_fraction_of_a_swing() -> None:
    x = lorenz63(8000, 0.02).x[:, :1]
    embedding = choose_embedding(x, dominant_period(x), 40)
    assert embedding.dim in (3, 4)
    assert 0.1 <= 0.02 * embedding.lag <= 0.25


@pytest.mark.parametrize("period", [41.3, 100.0])
def test_a_sine_is_embedded_in_two_dimensions_with_a_lag_of_a_fraction_of_its_period(period: float) -> None:
    embedding = choose_embedding(sine(6000, period=period).x, period, theiler_window(period))
    assert embedding.dim == 2
    assert period / 8 <= embedding.lag <= period / 4


def test_a_coarsely_sampled_flow_takes_lag_one_and_sees_a_whole_period() -> None:
    x = lorenz63(4000, 0.12).x[:, 2:]
    period = dominant_period(x)
    embedding = choose_embedding(x, period, theiler_window(period))
    assert 6 <= period < 12
    assert embedding.lag == 1
    assert embedding.dim == min(8, np.ceil(period))


def test_a_column_that_does_not_vary_becomes_zero_instead_of_noise() -> None:
    x = np.c_[np.full(100, 0.1), np.arange(100.0)]
    scaled = unit_variance(x)
    assert (scaled[:, 0] == 0).all()
    assert scaled[:, 1].std() == pytest.approx(1.0)
