import numpy as np
import pytest

from chaos_core.baselines.sindy import Law, Sindy
from chaos_core.systems import lorenz63, rossler, with_noise


def test_the_coefficients_of_lorenz_are_found_within_one_percent() -> None:
    series = lorenz63(6000)
    law = Sindy().law(series.x, dt=series.dt)
    x, y, z = 0, 1, 2
    assert law.coefficient(x, x) == pytest.approx(-10, rel=0.01)
    assert law.coefficient(x, y) == pytest.approx(10, rel=0.01)
    assert law.coefficient(y, x) == pytest.approx(28, rel=0.01)
    assert law.coefficient(y, y) == pytest.approx(-1, rel=0.01)
    assert law.coefficient(y, x, z) == pytest.approx(-1, rel=0.01)
    assert law.coefficient(z, z) == pytest.approx(-8 / 3, rel=0.01)
    assert law.coefficient(z, x, y) == pytest.approx(1, rel=0.01)


def test_the_coefficients_of_rossler_are_found_within_two_percent() -> None:
    series = rossler(12_000)
    law = Sindy().law(series.x, dt=series.dt)
    assert law.coefficient(0, 1) == pytest.approx(-1, rel=0.02)
    assert law.coefficient(0, 2) == pytest.approx(-1, rel=0.02)
    assert law.coefficient(1, 0) == pytest.approx(1, rel=0.02)
    assert law.coefficient(1, 1) == pytest.approx(0.2, rel=0.02)
    assert law.coefficient(2, 2) == pytest.approx(-5.7, rel=0.02)
    assert law.coefficient(2, 0, 2) == pytest.approx(1, rel=0.02)


def test_measuring_noise_of_one_percent_leaves_the_large_coefficients_within_ten_percent() -> None:
    series = with_noise(lorenz63(8000), 0.01)
    law = Sindy().law(series.x, dt=series.dt)
    assert law.coefficient(0, 1) == pytest.approx(10, rel=0.1)
    assert law.coefficient(1, 0) == pytest.approx(28, rel=0.1)


def test_a_law_without_dt_is_per_row() -> None:
    series = lorenz63(4000)
    settings = Sindy(threshold=0.01, smoothing=0)
    per_row, per_time = settings.law(series.x), settings.law(series.x, dt=series.dt)
    np.testing.assert_allclose(per_row.coefficients / 0.01, per_time.coefficients, rtol=1e-12)


def test_a_law_in_other_units_is_the_same_field() -> None:
    rng = np.random.default_rng(0)
    terms = ((), (0,), (1,), (0, 0), (0, 1), (1, 1))
    law = Law(terms, rng.standard_normal((6, 2)))
    mean, std, time = np.array([3.0, -20.0]), np.array([2.0, 0.1]), 0.5
    v = rng.standard_normal((50, 2)) * std + mean
    moved = law.in_units(mean, std, time)
    np.testing.assert_allclose(moved.field()(v), law.field()((v - mean) / std) * std / time, rtol=1e-9, atol=1e-9)


def test_a_harmonic_oscillator_is_integrated_to_the_accuracy_of_its_derivatives() -> None:
    t = np.arange(3000) * 0.05
    x = np.stack([np.sin(t), np.cos(t)], axis=1)
    run = Sindy(degree=1, threshold=0.01, smoothing=0).fit(x[:2000]).run(x[:2000], 500)
    assert np.abs(run - x[2000:2500]).max() < 1e-3
