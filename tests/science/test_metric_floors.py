"""Truth against truth: what the metrics say about two independent runs of one system (slow)."""

import numpy as np
import pytest

from chaos_core.metrics import d_h, d_stsp
from chaos_core.systems import lorenz63


@pytest.fixture(scope="module")
def runs() -> list[np.ndarray]:
    return [lorenz63(100_000, seed=seed).x for seed in range(6)]


def test_two_long_lorenz_runs_are_at_the_known_floor(runs: list[np.ndarray]) -> None:
    """Measured once with 30 cells per channel at 100 000 rows: 0.029 and D_H 0.042; a pair may be three times higher,
    since the runs change lobes at random."""
    pairs = [(a, b) for a in runs[:4] for b in runs[:4] if a is not b]
    geometry = [d_stsp(a, b, preset="gtf").value for a, b in pairs]
    spectra = [d_h(a, b, preset="gtf").value for a, b in pairs]
    assert 0.02 < min(geometry) < 0.035 and max(geometry) < 0.1
    assert 0.035 < min(spectra) < 0.05 and max(spectra) < 0.08


def test_short_runs_have_high_floors(runs: list[np.ndarray]) -> None:
    """0.38 for 100 000 against 10 000 rows, 0.81 for 10 000 against 10 000 (they vary by half from run to run)."""
    against_short = [d_stsp(a, b[:10_000]).value for a in runs for b in runs if a is not b]
    assert np.median(against_short) == pytest.approx(0.38, rel=0.4)
    both_short = [d_stsp(a[:10_000], b[:10_000]).value for a in runs for b in runs if a is not b]
    assert np.median(both_short) == pytest.approx(0.81, rel=0.5)


def test_a_gaussian_cloud_and_a_point_are_far(runs: list[np.ndarray]) -> None:
    """Measured once: 3.24 for a Gaussian of equal mean and spread, 16.3 for a constant orbit."""
    true, rng = runs[0], np.random.default_rng(0)
    cloud = true.mean(0) + true.std(0) * rng.standard_normal(true.shape)
    assert d_stsp(true, cloud).value == pytest.approx(3.24, rel=0.2)
    assert d_stsp(true, np.zeros_like(true) + true[0]).value == pytest.approx(16.3, abs=0.5)


def test_a_shuffled_truth_is_caught_by_its_spectrum_alone(runs: list[np.ndarray]) -> None:
    """Measured once: 0.000 and D_H 0.868."""
    shuffled = np.random.default_rng(0).permutation(runs[0])
    assert d_stsp(runs[0], shuffled).value == 0.0
    assert d_h(runs[0], shuffled).value == pytest.approx(0.87, abs=0.02)


def test_five_percent_noise_is_just_visible(runs: list[np.ndarray]) -> None:
    """Measured once: 0.128 with observation noise of 5 % of the spread on one side; D_H grows by about 0.01."""
    true, other = runs[:2]
    noisy = other + 0.05 * other.std(0) * np.random.default_rng(0).standard_normal(other.shape)
    assert d_stsp(true, noisy).value == pytest.approx(0.128, rel=0.3)
    clean, dirty = d_h(true, other).value, d_h(true, noisy).value
    assert clean is not None and dirty is not None and 0 < dirty - clean < 0.02
