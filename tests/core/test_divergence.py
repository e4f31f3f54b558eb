import math

import numpy as np
import pytest

from chaos_core.embedding import unit_variance
from chaos_core.lyapunov.divergence import divergence, scaling_region
from chaos_core.lyapunov.lines import harmonic_fit, two_frequency_fit
from chaos_core.lyapunov.neighbours import Orbit, nearest
from chaos_core.lyapunov.noise import best_window, noise_levels, smooth
from chaos_core.series import Series
from chaos_core.systems import henon, logistic, lorenz63, rossler, sine, two_torus, with_noise


def test_the_scaling_region_of_a_known_curve_is_where_it_rises() -> None:
    curve = np.minimum(-6.0 + 0.05 * np.arange(400), 0.0)
    start, stop = scaling_region(curve, 0.0, period=40.0, margin=1.2, skip=0.5)
    assert start == 20
    assert stop == pytest.approx((6.0 - 1.2) / 0.05, abs=1)


@pytest.mark.parametrize(
    ("series", "truth", "tolerance"),
    [
        pytest.param(logistic(4000), math.log(2), 0.10, id="logistic, exactly ln 2"),
        pytest.param(henon(4000), 0.4192, 0.10, id="henon"),
        pytest.param(lorenz63(8000, 0.04), 0.9056 * 0.04, 0.15, id="lorenz"),
    ],
)
def test_neighbours_of_chaotic_systems_part_at_the_published_rate(
    series: object, truth: float, tolerance: float
) -> None:
    x = series.x
    period = 20.0 if len(x[0]) == 3 else 3.0
    found = divergence(Orbit.of([unit_variance(x)]), period, 20)
    assert found is not None
    assert found.exponent == pytest.approx(truth, rel=tolerance)


@pytest.mark.parametrize(("series", "truth"), [(logistic(4000), math.log(2)), (henon(4000), 0.4192)])
def test_several_neighbours_of_a_map_part_at_the_published_rate(series: Series, truth: float) -> None:
    found = divergence(Orbit.of([unit_variance(series.x)]), 3.0, 1, neighbours=5)
    assert found is not None
    assert found.exponent == pytest.approx(truth, rel=0.15)


@pytest.mark.parametrize("count", [1, 4])
def test_the_curve_is_the_mean_log_of_the_mean_distance_of_the_closer_half(count: int) -> None:
    z = unit_variance(henon(600).x)
    orbit, theiler = Orbit.of([z]), 3
    found = divergence(orbit, 3.0, theiler, neighbours=count)
    assert found is not None
    horizon = len(found.curve) - 1
    references = np.arange(600 - horizon)
    gaps = np.linalg.norm(z[references, None] - z[None, : 600 - horizon], axis=-1)
    gaps[(np.abs(references[:, None] - references) <= theiler) | (gaps == 0)] = np.inf
    partners = np.argsort(gaps, axis=1)[:, :count]
    reach = gaps[references, partners[:, -1]]
    close = reach <= np.median(reach)
    k = np.arange(horizon + 1)
    paths = z[references[close, None, None] + k] - z[partners[close][:, :, None] + k]
    expected = np.log(np.linalg.norm(paths, axis=-1).mean(axis=1)).mean(axis=0)
    np.testing.assert_allclose(found.curve, expected, atol=1e-12)


def test_more_neighbours_than_there_are_give_no_curve() -> None:
    assert divergence(Orbit.of([unit_variance(henon(200).x)]), 3.0, 1, neighbours=400) is None


def test_neighbours_on_a_circle_do_not_part() -> None:
    t = 2 * np.pi * np.arange(6000) / 40.3
    found = divergence(Orbit.of([np.c_[np.sin(t), np.cos(t)]]), 40.3, 41)
    assert found is not None
    assert abs(found.exponent) * 40.3 < 0.05


def test_neighbours_keep_outside_the_theiler_window_and_inside_their_runs() -> None:
    rng = np.random.default_rng(0)
    orbit = Orbit.of([rng.standard_normal((300, 2)), rng.standard_normal((200, 2))])
    references = orbit.starts(50, 1000)
    partner = nearest(orbit, references, theiler=30, horizon=50)[:, 0]
    assert (partner >= 0).all()
    assert (np.abs(partner - references) > 30).all()
    assert (orbit.room[partner] >= 50).all()
    assert set(orbit.room[[299, 499]]) == {0}


def test_the_nearest_neighbour_is_that_of_a_search_through_all_rows() -> None:
    z = np.random.default_rng(1).standard_normal((400, 3))
    references = np.arange(0, 350, 7)
    gaps = np.linalg.norm(z[references, None] - z[None], axis=-1)
    gaps[np.abs(references[:, None] - np.arange(400)) <= 25] = np.inf
    gaps[:, 390:] = np.inf
    found = nearest(Orbit.of([z]), references, 25, 10, count=4)
    np.testing.assert_array_equal(found, np.argsort(gaps, axis=1)[:, :4])


def test_equal_states_are_no_neighbours() -> None:
    z = np.repeat(np.random.default_rng(2).standard_normal((40, 2)), 5, axis=0)
    partner = nearest(Orbit.of([z]), np.arange(100), 1, 5)[:, 0]
    assert (np.linalg.norm(z[partner] - z[:100], axis=1) > 0).all()


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
def test_the_noise_added_to_a_flow_is_found_in_each_channel(share: float) -> None:
    levels = noise_levels(with_noise(lorenz63(8000), share).x)
    np.testing.assert_allclose(levels, share / np.sqrt(1 + share**2), rtol=0.1)


def test_a_clean_flow_is_not_smoothed() -> None:
    x = rossler(6000).x
    levels = noise_levels(x)
    assert levels.max() < 0.005
    assert best_window(x, levels, 30) == 1


def test_smoothing_takes_more_than_half_of_the_noise_away() -> None:
    clean = lorenz63(8000).x
    noisy = with_noise(lorenz63(8000), 0.05).x
    window = best_window(noisy, noise_levels(noisy), 40)
    assert window % 2 == 1
    assert np.std(smooth(noisy, window) - clean) < 0.5 * np.std(noisy - clean)


@pytest.mark.parametrize("period", [3.7, 40.0, 40.3])
def test_one_period_accounts_for_a_square_wave_of_any_period(period: float) -> None:
    t = np.arange(5000) / period
    x = sum(np.sin(2 * np.pi * k * t) / k for k in (1, 3, 5, 7))
    found = harmonic_fit(unit_variance(np.asarray(x)[:, None]))
    assert found is not None
    assert found.residual < 1e-6
    assert found.frequencies[0] * period == pytest.approx(1 / round(1 / (found.frequencies[0] * period)), rel=1e-4)


def test_a_torus_takes_two_frequencies_and_not_one() -> None:
    x = unit_variance(two_torus(5000).x)
    one, two = harmonic_fit(x), two_frequency_fit(x)
    assert one is not None
    assert two is not None
    assert one.residual > 0.1
    assert two.residual < 1e-6
    expected = [1 / 40.3, 1 / 40.3 / ((1 + 5**0.5) / 2)]
    np.testing.assert_allclose(sorted(two.frequencies, reverse=True), expected, rtol=1e-4)


def test_no_period_accounts_for_rosslers_nearly_periodic_chaos() -> None:
    found = harmonic_fit(unit_variance(rossler(4000, 0.3).x))
    assert found is None or found.residual > 0.1


def test_a_sine_and_its_noise_are_told_apart() -> None:
    found = harmonic_fit(unit_variance(with_noise(sine(5000), 0.1).x))
    assert found is not None
    assert found.residual == pytest.approx(0.01, rel=0.2)
