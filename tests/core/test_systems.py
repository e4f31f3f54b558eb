import numpy as np
import pytest

from chaos_core.analysis import analyse
from chaos_core.series import Series
from chaos_core.systems import (
    SYSTEMS,
    ar1,
    ar2,
    henon,
    integrate,
    logistic,
    lorenz63,
    rossler,
    sine,
    surrogate,
    two_torus,
    with_noise,
)


@pytest.mark.parametrize("name", SYSTEMS)
def test_each_system_gives_a_series_of_the_asked_length_and_the_same_one_twice(name: str) -> None:
    first, second = SYSTEMS[name].make(300), SYSTEMS[name].make(300)
    assert isinstance(first, Series)
    assert first.length == 300
    assert first.dt is not None
    np.testing.assert_array_equal(first.x, second.x)


@pytest.mark.parametrize("name", SYSTEMS)
def test_each_system_is_what_the_registry_says_it_is(name: str) -> None:
    assert analyse(SYSTEMS[name].make(6000)).verdict == SYSTEMS[name].nature


def test_the_integrator_is_of_fourth_order() -> None:
    def error(h: float) -> float:
        rows = integrate(lambda s: (s[1], -s[0]), (0.0, 1.0), 11, 1.0, h, burn_in=0.0)
        return float(np.abs(rows[:, 0] - np.sin(np.arange(11))).max())

    assert error(0.1) / error(0.05) == pytest.approx(16, rel=0.1)
    assert error(0.05) < 1e-6


def test_rows_of_lorenz_follow_its_equations() -> None:
    series = lorenz63(2000, 0.001)
    x, y, z = series.x[1:-1].T
    slope = (series.x[2:] - series.x[:-2]) / 0.002
    np.testing.assert_allclose(slope, np.c_[10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], atol=0.05)


def test_rows_of_rossler_follow_its_equations() -> None:
    series = rossler(1000, 0.005)
    x, y, z = series.x[1:-1].T
    slope = (series.x[2:] - series.x[:-2]) / 0.01
    np.testing.assert_allclose(slope, np.c_[-y - z, x + 0.2 * y, 0.2 + z * (x - 5.7)], atol=0.02)


def test_rows_of_the_maps_follow_their_rules() -> None:
    x, y = henon(500).x.T
    np.testing.assert_allclose(x[1:], 1 - 1.4 * x[:-1] ** 2 + y[:-1], atol=1e-14)
    np.testing.assert_allclose(y[1:], 0.3 * x[:-1], atol=1e-14)
    v = logistic(500, r=3.8).x[:, 0]
    np.testing.assert_allclose(v[1:], 3.8 * v[:-1] * (1 - v[:-1]), atol=1e-14)


def test_lorenz_stays_in_the_published_box_and_visits_both_wings() -> None:
    x, _, z = lorenz63(5000).x.T
    assert np.abs(x).max() < 20
    assert z.min() > 0
    assert z.max() < 50
    assert 0.2 < (x > 0).mean() < 0.8


def test_seeds_give_different_orbits() -> None:
    assert not np.allclose(lorenz63(200, seed=0).x, lorenz63(200, seed=1).x)
    assert not np.allclose(henon(200, seed=0).x, henon(200, seed=1).x)


def test_autoregressive_noise_has_its_theoretical_spread_and_memory() -> None:
    x = ar1(200_000, memory=0.9).x[:, 0]
    assert x.std() == pytest.approx(1 / np.sqrt(1 - 0.81), rel=0.02)
    assert np.corrcoef(x[1:], x[:-1])[0, 1] == pytest.approx(0.9, abs=0.01)
    v = ar2(200_000, period=40.0, memory=0.98).x[:, 0]
    expected = 2 * 0.98 * np.cos(2 * np.pi / 40) / (1 + 0.98**2)
    assert np.corrcoef(v[1:], v[:-1])[0, 1] == pytest.approx(expected, abs=0.005)


def test_a_surrogate_keeps_the_values_and_nearly_the_spectrum() -> None:
    x = Series(lorenz63(2000, 0.04).x[:, 0], 0.04)
    y = surrogate(x)
    np.testing.assert_allclose(np.sort(y.x[:, 0]), np.sort(x.x[:, 0]))
    power_x, power_y = (np.abs(np.fft.rfft(s.x[:, 0] - s.x.mean())) for s in (x, y))
    assert np.linalg.norm(power_x - power_y) < 0.05 * np.linalg.norm(power_x)
    assert not np.allclose(x.x, y.x, atol=0.5)


def test_added_noise_has_the_asked_share_in_each_channel_and_keeps_gaps() -> None:
    clean = lorenz63(20_000)
    noise = with_noise(clean, 0.05).x - clean.x
    np.testing.assert_allclose(noise.std(axis=0) / clean.x.std(axis=0), 0.05, rtol=0.05)
    gappy = clean.x[:100].copy()
    gappy[10, 1] = np.nan
    assert with_noise(Series(gappy, missing="mask"), 0.05).mask[10, 1]


def test_waves_have_their_periods() -> None:
    assert sine(1000, period=50.0).x[50, 0] == pytest.approx(0.0, abs=1e-12)
    x = two_torus(1000, period=20.0, second=0.0).x[:, 0]
    np.testing.assert_allclose(x[20:], x[:-20], atol=1e-12)
