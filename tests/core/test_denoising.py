"""Denoising against the true rows, spectra and dimensions against published ones."""

import numpy as np
import pytest

from chaos_core.analysis import Analysis, Verdict, analyse
from chaos_core.embedding import Embedding, delay_embed, unit_variance
from chaos_core.lyapunov.cleaning import filter_runs, map_embedding
from chaos_core.lyapunov.denoising import denoise
from chaos_core.lyapunov.dimension import kaplan_yorke
from chaos_core.lyapunov.growth import free_growth, tangent_growth
from chaos_core.lyapunov.map_model import fit_map
from chaos_core.lyapunov.neighbours import Orbit
from chaos_core.lyapunov.noise import smooth
from chaos_core.series import Series
from chaos_core.systems import henon, lorenz63, with_noise
from chaos_core.typing import Floats

PERIOD = 19


def _distance(x: Floats, true: Floats) -> float:
    return float(np.sqrt(((x - true) ** 2).mean()))


@pytest.fixture(scope="module")
def lorenz() -> Floats:
    return unit_variance(lorenz63(4000, 0.04).x)


@pytest.mark.parametrize("share", [0.02, 0.1])
def test_rows_of_lorenz_come_nearer_the_truth_than_a_filter_brings_them(lorenz: Floats, share: float) -> None:
    noisy = lorenz + share * np.random.default_rng(0).standard_normal(lorenz.shape)
    filtered = smooth(noisy, 5)
    (found,) = denoise([noisy], [filtered], Embedding(), np.full(3, share), None)
    assert _distance(found, lorenz) < 0.5 * _distance(filtered, lorenz)
    assert _distance(found, lorenz) < 0.3 * share


def test_a_single_coordinate_is_denoised_through_its_delays(lorenz: Floats) -> None:
    x = lorenz[:, :1]
    noisy = x + 0.1 * np.random.default_rng(1).standard_normal(x.shape)
    filtered = smooth(noisy, 7)
    (found,) = denoise([noisy], [filtered], map_embedding(1, PERIOD), np.array([0.1]), 3)
    assert _distance(found, x) < 0.7 * _distance(filtered, x)


def test_runs_are_denoised_each_by_itself(lorenz: Floats) -> None:
    noisy = lorenz + 0.05 * np.random.default_rng(2).standard_normal(lorenz.shape)
    halves = [noisy[:2000], noisy[2000:]]
    found = denoise(halves, halves, Embedding(), np.full(3, 0.05), None)
    assert [len(run) for run in found] == [2000, 2000]
    assert _distance(np.concatenate(found), lorenz) < 0.4 * 0.05


def test_fine_structure_that_a_map_foretells_is_no_noise() -> None:
    steps = np.arange(6000)
    spikes = np.exp(-(((steps % 37) / 0.8) ** 2))[:, None] * np.array([1.0, 0.5, 0.2])
    slow = np.c_[np.sin(2 * np.pi * steps / 37), np.cos(2 * np.pi * steps / 37), np.sin(4 * np.pi * steps / 37)]
    assert filter_runs([slow + 0.3 * spikes]).levels.max() < 0.02


def test_damping_across_the_data_takes_the_spurious_exponents_of_an_embedding_away() -> None:
    x = lorenz63(8000, 0.04).x[:, :1]
    orbit = Orbit.embedded([unit_variance(x)], Embedding(dim=6, lag=2))
    assert orbit.z.shape == delay_embed(x, Embedding(dim=6, lag=2)).shape
    true = 0.9056 * 0.04
    bare = tangent_growth(orbit, fit_map(orbit, 2), block=200, burn_in=100)
    damped = tangent_growth(orbit, fit_map(orbit, 2, directions=3), block=200, burn_in=100)
    assert bare is not None
    assert damped is not None
    assert bare.exponent > 1.5 * true
    assert damped.exponent == pytest.approx(true, rel=0.25)


def test_free_runs_have_the_published_spectrum_of_henon() -> None:
    orbit = Orbit.of([unit_variance(henon(4000).x)])
    found = free_growth(orbit, fit_map(orbit, 1), steps=800, burn_in=100, vectors=2)
    assert found is not None
    np.testing.assert_allclose(found.spectrum, [0.4192, -1.6232], rtol=0.02)
    assert found.exponent == pytest.approx(found.spectrum[0], rel=1e-12)


def test_runs_that_leave_the_data_give_no_exponent() -> None:
    rows = 1.01 ** np.arange(400.0)[:, None]
    orbit = Orbit.of([rows / rows.std()])
    assert free_growth(orbit, fit_map(orbit, 1), steps=400, burn_in=0) is None


@pytest.mark.parametrize(
    ("spectrum", "dimension"),
    [
        ([0.9056, 0.0, -14.5723], 2.0621),
        ([0.4192, -1.6232], 1.2583),
        ([0.0, -1.0], 1.0),
        ([-0.1, -2.0], 0.0),
        ([0.3, 0.1], 2.0),
        ([0.2, 0.0, -0.1, -0.3], 3 + 0.1 / 0.3),
    ],
)
def test_the_kaplan_yorke_dimension_of_known_spectra(spectrum: list[float], dimension: float) -> None:
    assert kaplan_yorke(np.array(spectrum[::-1])) == pytest.approx(dimension, abs=1e-4)


@pytest.fixture(scope="module")
def noisy_lorenz() -> Analysis:
    return analyse(with_noise(lorenz63(6000, 0.04), 0.1, seed=3))


def test_ten_per_cent_noise_costs_the_exponent_of_lorenz_little(noisy_lorenz: Analysis) -> None:
    assert noisy_lorenz.verdict is Verdict.CHAOTIC
    assert noisy_lorenz.lambda_max == pytest.approx(0.9056, rel=0.15)
    assert noisy_lorenz.noise_share == pytest.approx(0.1, rel=0.2)


def test_a_full_state_has_a_spectrum_a_dimension_and_a_length_to_wish_for(noisy_lorenz: Analysis) -> None:
    clean = analyse(lorenz63(6000, 0.04))
    assert clean.spectrum_per_step is not None
    first, second, third = (value / 0.04 for value in clean.spectrum_per_step)
    assert first == pytest.approx(0.9056, rel=0.06)
    assert abs(second) < 0.05
    assert third == pytest.approx(-14.57, rel=0.2)
    assert clean.kaplan_yorke == pytest.approx(2.062, abs=0.02)
    assert clean.rows_needed is not None
    assert 50 * clean.period_steps <= clean.rows_needed < 6000
    assert noisy_lorenz.rows_needed is not None


def test_the_intervals_of_tau_follow_from_those_of_the_exponent(noisy_lorenz: Analysis) -> None:
    assert noisy_lorenz.lambda_low_per_step is not None
    assert noisy_lorenz.lambda_high_per_step is not None
    assert noisy_lorenz.tau_low == round(np.log(2) / noisy_lorenz.lambda_high_per_step)
    assert noisy_lorenz.tau_high == round(np.log(2) / noisy_lorenz.lambda_low_per_step)
    assert noisy_lorenz.tau in noisy_lorenz.tau_sweep
    assert list(noisy_lorenz.tau_sweep) == sorted(set(noisy_lorenz.tau_sweep))


def test_a_single_coordinate_has_no_spectrum_and_several_estimates() -> None:
    found = analyse(Series(lorenz63(6000, 0.04).x[:, :1], dt=0.04))
    assert found.spectrum_per_step is None
    assert found.kaplan_yorke is None
    assert len(found.estimates) == 4
    assert sum(estimate.believed for estimate in found.estimates) >= 3
    weights = [estimate.weight or 0.0 for estimate in found.estimates]
    assert 0.5 < sum(weights) < 1
    assert [weight > 0 for weight in weights] == [estimate.believed for estimate in found.estimates]
    assert found.lambda_max == pytest.approx(0.9056, rel=0.12)
