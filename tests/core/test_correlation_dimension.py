"""Sets whose correlation dimension is exact or published."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter1d

from chaos_core.errors import Inconsistent
from chaos_core.metrics import correlation_dimension, correlation_dimension_difference
from chaos_core.systems import henon, lorenz63

Floats = npt.NDArray[np.float64]


def circles(count: int, rows: int = 20_000) -> Floats:
    """A circle, or the product of two: independent random angles."""
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, (rows, count))
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)


def test_henon_has_its_published_dimension() -> None:
    """1.21 (Grassberger and Procaccia 1983), 1.220 (Sprott 2003)."""
    assert correlation_dimension(henon(20_000).x).value == pytest.approx(1.22, abs=0.04)


def test_lorenz_has_its_published_dimension() -> None:
    """2.05 (Grassberger and Procaccia 1983), 2.068 (Sprott 2003)."""
    assert correlation_dimension(lorenz63(20_000, dt=0.02).x).value == pytest.approx(2.06, abs=0.06)


@pytest.mark.parametrize("count", [1, 2])
def test_a_circle_has_dimension_one_and_a_torus_two(count: int) -> None:
    assert correlation_dimension(circles(count)).value == pytest.approx(count, rel=0.03)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_noise_fills_its_channels(channels: int) -> None:
    x = np.random.default_rng(0).random((20_000, channels))
    assert correlation_dimension(x).value == pytest.approx(channels, rel=0.05)


def test_units_do_not_matter() -> None:
    x = henon(3000).x
    moved = correlation_dimension(x * [1e-6, 1e9] + [4.0, 1e9]).value
    assert moved == pytest.approx(correlation_dimension(x).value, rel=1e-3)


def test_without_the_rows_left_out_slow_noise_would_look_like_its_path() -> None:
    """Slow noise in three channels: the nearest rows are neighbours in time, so a line, unless they are skipped."""
    x = gaussian_filter1d(np.random.default_rng(0).standard_normal((20_000, 3)), 100.0, axis=0)
    assert correlation_dimension(x, theiler=0).value == pytest.approx(1.0, abs=0.25)
    assert correlation_dimension(x).value == pytest.approx(3.0, abs=0.15)


def test_points_have_dimension_zero() -> None:
    assert correlation_dimension(np.ones((100, 3))).value == 0.0
    assert correlation_dimension(np.tile([[0.1], [0.7]], (1000, 1))).value == 0.0
    cycle = np.tile(np.random.default_rng(0).random((30, 2)), (200, 1))
    assert correlation_dimension(cycle).value == pytest.approx(0.0, abs=1e-6)


def test_where_no_range_scales_there_is_a_reason() -> None:
    assert "too few" in str(correlation_dimension(np.random.default_rng(0).random((20, 2))).reason)
    assert "no scaling region" in str(correlation_dimension(lorenz63(500, dt=0.05).x).reason)
    assert "not finite" in str(correlation_dimension([1.0, np.nan, 2.0]).reason)
    assert "no rows" in str(correlation_dimension(np.zeros((0, 2))).reason)
    assert "too large" in str(correlation_dimension(1e300 * np.random.default_rng(0).random((20, 2))).reason)


def test_a_run_that_shrinks_to_a_point_misses_the_whole_dimension() -> None:
    true = henon(6000).x
    score = correlation_dimension_difference(true, np.zeros_like(true))
    assert score.value == score.detail["dimension_true"]
    assert score.floor is not None and score.floor < 0.15


def test_a_run_without_a_dimension_is_named() -> None:
    true = henon(6000).x
    score = correlation_dimension_difference(true, np.full_like(true, np.nan))
    assert score.reason is not None and score.reason.startswith("generated: ")


def test_misuse_is_an_error() -> None:
    with pytest.raises(Inconsistent):
        correlation_dimension(np.ones(5), theiler=-1)
