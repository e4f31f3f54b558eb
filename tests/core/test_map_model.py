import math

import numpy as np
import pytest

from chaos_core.embedding import unit_variance
from chaos_core.lyapunov.features import Features
from chaos_core.lyapunov.growth import tangent_growth
from chaos_core.lyapunov.map_model import MapModel, fit_map
from chaos_core.lyapunov.neighbours import Orbit
from chaos_core.systems import henon, ikeda, logistic, lorenz63, white_noise


def _exponent(x: np.ndarray, block: int = 250, burn_in: int = 100) -> float:
    orbit = Orbit.of([unit_variance(x)])
    growth = tangent_growth(orbit, fit_map(orbit, 1), block=block, burn_in=burn_in)
    assert growth is not None
    return growth.exponent


def test_the_derivative_of_the_features_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(0)
    features = Features(rng.standard_normal((7, 3)), 1.3)
    z, v = rng.standard_normal((5, 3)), rng.standard_normal((5, 3))
    difference = (features.values(z + 1e-6 * v) - features.values(z - 1e-6 * v)) / 2e-6
    np.testing.assert_allclose(features.along(z, v), difference, atol=1e-8)


def test_the_growth_along_a_known_linear_map_is_the_log_of_its_largest_eigenvalue() -> None:
    matrix = np.array([[0.2, 0.0], [0.0, 1.07]])
    weights = np.zeros((10, 2))
    weights[1:3] = (matrix - np.eye(2)).T
    model = MapModel(Features(np.zeros((0, 2)), 1.0), weights, 1, 0.0, 0.0, 0.0)
    orbit = Orbit.of([np.random.default_rng(0).standard_normal((500, 2))])
    growth = tangent_growth(orbit, model, block=100, burn_in=50)
    assert growth is not None
    assert growth.exponent == pytest.approx(math.log(1.07), abs=1e-9)
    np.testing.assert_allclose(growth.parts, math.log(1.07), atol=1e-9)


def test_a_decaying_rotation_has_the_negative_exponent_of_its_decay() -> None:
    turn = 0.98 * np.exp(2j * np.pi / 17.3)
    z = turn ** np.arange(300)
    orbit = Orbit.of([np.c_[z.real, z.imag]])
    growth = tangent_growth(orbit, fit_map(orbit, 1), block=60, burn_in=40)
    assert growth is not None
    assert growth.exponent == pytest.approx(math.log(0.98), abs=1e-3)


def test_the_exponent_of_the_logistic_map_is_ln_2() -> None:
    assert _exponent(logistic(4000).x) == pytest.approx(math.log(2), rel=0.03)


def test_the_exponent_of_henons_map_is_the_published_one() -> None:
    assert _exponent(henon(4000).x) == pytest.approx(0.4192, rel=0.03)


def test_the_exponent_of_ikedas_map_is_the_published_one() -> None:
    assert _exponent(ikeda(8000).x) == pytest.approx(0.507, rel=0.08)


def test_the_exponent_of_lorenz_is_the_published_one() -> None:
    assert _exponent(lorenz63(8000, 0.04).x) / 0.04 == pytest.approx(0.9056, rel=0.08)


def test_a_nonlinear_map_of_white_noise_is_no_better_than_a_linear_one() -> None:
    x = np.random.default_rng(0).standard_normal((4000, 3))
    assert fit_map(Orbit.of([x]), 1).error_ratio > 0.99


def test_the_map_never_learns_from_the_step_between_two_runs() -> None:
    x = unit_variance(logistic(1000).x)
    pieces = [x[start : start + 2] for start in range(0, 1000, 2)]
    model = fit_map(Orbit.of(pieces), 1)
    assert model.error < 1e-6


def test_no_block_fits_into_runs_that_are_too_short() -> None:
    orbit = Orbit.of([unit_variance(white_noise(100).x)])
    assert tangent_growth(orbit, fit_map(orbit, 1), block=80, burn_in=40) is None


@pytest.mark.parametrize("dim", [1, 3, 4, 6])
def test_weighed_features_are_the_features_times_the_weights_with_the_same_derivative(dim: int) -> None:
    rng = np.random.default_rng(dim)
    features, z = Features(rng.standard_normal((9, dim)), 1.3), rng.standard_normal((5, dim))
    weights = rng.standard_normal((features.values(z).shape[1], 2))
    value, slopes = features.weighed(weights)(z)
    np.testing.assert_allclose(value, features.values(z) @ weights, atol=1e-12)
    for column, unit in enumerate(np.eye(dim)):
        along = features.along(z, np.tile(unit, (5, 1))) @ weights
        np.testing.assert_allclose(slopes[:, :, column], along, atol=1e-12)
