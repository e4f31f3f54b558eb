import json
import math
import re

import numpy as np
import pytest

from chaos_core.analysis import Analysis, Verdict, analyse
from chaos_core.errors import TooShort
from chaos_core.series import Series
from chaos_core.systems import (
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
    white_noise,
    with_noise,
)

ROWS = 3000


@pytest.fixture(scope="module")
def lorenz() -> Analysis:
    return analyse(lorenz63(ROWS, 0.04))


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1])
@pytest.mark.parametrize("period", [3.3, 7.0, 40.0, 40.3, 201.7])
def test_a_sine_of_any_period_is_periodic_and_has_no_tau(period: float, noise: float) -> None:
    series = sine(ROWS, period=period, phase=0.3)
    found = analyse(with_noise(series, noise) if noise else series)
    assert found.verdict is Verdict.PERIODIC
    assert found.tau is None
    assert found.lambda_max_per_step == 0
    assert found.lambda_low_per_step is not None
    assert found.lambda_low_per_step <= 0
    said = re.search(r"period of ([0-9.]+) rows", found.reasons[0])
    assert said is not None
    assert float(said[1]) == pytest.approx(period, rel=1e-3)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_two_incommensurate_waves_are_quasi_periodic(noise: float) -> None:
    series = two_torus(ROWS)
    found = analyse(with_noise(series, noise) if noise else series)
    assert found.verdict is Verdict.QUASI_PERIODIC
    assert found.tau is None


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize(
    "series",
    [
        pytest.param(white_noise(ROWS), id="white"),
        pytest.param(ar1(ROWS), id="red"),
        pytest.param(ar2(ROWS), id="noisy oscillator"),
        pytest.param(surrogate(Series(lorenz63(ROWS, 0.04).x[:, 0])), id="surrogate of lorenz"),
    ],
)
def test_linear_noise_is_stochastic(series: Series, noise: float) -> None:
    found = analyse(with_noise(series, noise, seed=7) if noise else series)
    assert found.verdict is Verdict.STOCHASTIC
    assert found.tau is None
    assert found.lambda_low_per_step is not None
    assert found.lambda_low_per_step <= 0
    assert any("linear map" in reason for reason in found.reasons)


def test_van_der_pols_limit_cycle_is_periodic() -> None:
    rows = integrate(lambda s: (s[1], 2 * (1 - s[0] ** 2) * s[1] - s[0]), (1.0, 0.0), 3000, 0.2, 0.02, 50.0)
    found = analyse(Series(rows, 0.2))
    assert found.verdict is Verdict.PERIODIC
    assert found.tau is None


def test_a_cycle_of_four_of_the_logistic_map_is_periodic() -> None:
    found = analyse(logistic(1000, r=3.5))
    assert found.verdict is Verdict.PERIODIC
    said = re.search(r"period of ([0-9.]+) rows", found.reasons[0])
    assert said is not None
    assert float(said[1]) == pytest.approx(4, rel=1e-4)


@pytest.mark.parametrize(
    "series",
    [
        pytest.param(Series(np.exp(-np.arange(2000) / 150) * np.cos(np.arange(2000) / 6)), id="damped oscillation"),
        pytest.param(Series(1 + 0.9 ** np.arange(300.0)), id="relaxation"),
    ],
)
def test_a_motion_that_dies_out_settles_on_a_fixed_point(series: Series) -> None:
    found = analyse(series)
    assert found.verdict is Verdict.FIXED_POINT
    assert found.tau is None
    assert found.lambda_max_per_step is not None
    assert found.lambda_max_per_step < 0


def test_the_rate_of_a_relaxation_is_its_exponent() -> None:
    found = analyse(Series(1 + 0.95 ** np.arange(300.0)))
    assert found.lambda_max_per_step == pytest.approx(math.log(0.95), rel=0.01)


def test_a_trend_is_not_called_anything() -> None:
    found = analyse(Series(np.arange(1000.0)))
    assert found.verdict is Verdict.UNDECIDED
    assert "rows would do" in found.reasons[0]


def test_lorenz_is_chaotic_with_the_published_exponent_and_the_interval_that_follows(lorenz: Analysis) -> None:
    assert lorenz.verdict is Verdict.CHAOTIC
    assert lorenz.lambda_max == pytest.approx(0.9056, rel=0.12)
    assert lorenz.lambda_max_per_step is not None
    assert lorenz.predictability_time_steps == pytest.approx(math.log(2) / lorenz.lambda_max_per_step)
    assert lorenz.tau == round(lorenz.predictability_time_steps)
    assert lorenz.lambda_low_per_step is not None
    assert lorenz.lambda_high_per_step is not None
    assert 0 < lorenz.lambda_low_per_step < 0.9056 * 0.04 < lorenz.lambda_high_per_step
    assert lorenz.embedding.dim == 1
    assert lorenz.flow_or_map == "flow"


def test_maps_get_an_interval_of_at_least_one_step() -> None:
    found = analyse(logistic(ROWS))
    assert found.flow_or_map == "map"
    assert found.lambda_max_per_step == pytest.approx(math.log(2), rel=0.05)
    assert found.tau == 1
    assert analyse(henon(ROWS)).lambda_max_per_step == pytest.approx(0.4192, rel=0.05)


def test_scale_and_offset_of_the_channels_do_not_matter(lorenz: Analysis) -> None:
    x = lorenz63(ROWS, 0.04).x
    moved = analyse(Series(x * [1e6, 1e-6, -3.0] + [5e6, 1.0, -40.0], 0.04, names=("x", "y", "z")))
    assert moved.verdict is lorenz.verdict
    assert moved.lambda_max_per_step == pytest.approx(lorenz.lambda_max_per_step, rel=0.01)
    assert moved.tau == lorenz.tau


def test_the_same_series_gives_the_same_analysis_twice(lorenz: Analysis) -> None:
    assert analyse(lorenz63(ROWS, 0.04)) == lorenz


def test_an_analysis_survives_json(lorenz: Analysis) -> None:
    text = json.dumps(lorenz.model_dump(mode="json"), allow_nan=False)
    assert Analysis.model_validate(json.loads(text)) == lorenz
    assert Analysis.model_validate_json(text) == lorenz


def test_the_time_step_changes_units_only(lorenz: Analysis) -> None:
    unknown = analyse(Series(lorenz63(ROWS, 0.04).x))
    assert unknown.lambda_max is None
    assert unknown.lambda_max_per_step == lorenz.lambda_max_per_step


def test_the_curve_rises_inside_its_scaling_region(lorenz: Analysis) -> None:
    curve = lorenz.curve
    assert curve is not None
    assert curve.fit_start is not None
    assert curve.fit_stop is not None
    first, last = curve.k.index(curve.fit_start), curve.k.index(curve.fit_stop)
    slope = np.polyfit(curve.k[first : last + 1], curve.s[first : last + 1], 1)[0]
    assert slope == pytest.approx(lorenz.lambda_divergence_per_step, rel=0.15)
    assert curve.s[last] < curve.saturation


def test_observation_noise_is_measured_in_the_units_of_the_data() -> None:
    clean = lorenz63(5000)
    found = analyse(with_noise(clean, 0.05))
    np.testing.assert_allclose(found.noise, 0.05 * clean.x.std(axis=0), rtol=0.1)
    assert found.smoothing_steps > 1
    assert analyse(clean).noise == (0.0, 0.0, 0.0)
    assert found.lambda_max == pytest.approx(0.9056, rel=0.3)


def test_gaps_and_stretches_bound_the_runs_and_are_told() -> None:
    x = lorenz63(ROWS, 0.04).x.copy()
    x[1500:1520, 1] = np.nan
    stretch = np.repeat([0, 1], [2800, ROWS - 2800])
    found = analyse(Series(x, 0.04, stretch=stretch, missing="mask"))
    assert found.verdict is Verdict.CHAOTIC
    assert found.lambda_max == pytest.approx(0.9056, rel=0.15)
    assert found.rows_used == ROWS - 20
    assert any("3 of 3 complete runs" in reason for reason in found.reasons)


def test_jumps_between_stretches_do_not_look_like_divergence() -> None:
    pieces = [rossler(700, 0.2, seed=seed).x for seed in range(4)]
    found = analyse(Series(np.concatenate(pieces), 0.2, stretch=np.repeat(range(4), 700)))
    assert found.map_error_ratio is not None
    assert found.map_error_ratio < 1e-4


def test_too_few_rows_say_how_many_are_needed() -> None:
    with pytest.raises(TooShort) as caught:
        analyse(lorenz63(150))
    assert caught.value.fields == {"rows": 150, "rows_needed": 200}


def test_a_scalar_flow_is_embedded_with_a_lag_above_one() -> None:
    found = analyse(Series(lorenz63(ROWS, 0.04).x[:, 0], 0.04))
    assert found.verdict is Verdict.CHAOTIC
    assert found.embedding.dim >= 3
    assert found.embedding.lag > 1
    assert found.lambda_max == pytest.approx(0.9056, rel=0.3)


def test_there_is_always_a_fallback_interval(lorenz: Analysis) -> None:
    assert 1 <= lorenz.fallback_tau < 20
    assert lorenz.fallback_source in ("mutual_information", "autocorrelation")
    assert analyse(white_noise(1000)).fallback_tau == 1
