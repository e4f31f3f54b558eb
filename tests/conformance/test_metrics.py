"""What every metric in every preset must do; a new file in chaos_core/metrics is tested by itself."""

import inspect
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from chaos_core.errors import UnknownKind
from chaos_core.metrics import METRICS, PRESETS, Metric, Score, Scores
from chaos_core.metrics.spectral_correlation import power_spectrum_correlation

COMPARING = [metric for metric in METRICS.values() if metric.needs != "exponents"]
every = pytest.mark.parametrize("metric", COMPARING, ids=lambda metric: metric.name)
any_preset = pytest.mark.parametrize("preset", PRESETS)
SETTINGS = {"lambda_max_per_step": 0.1}


def rows_for(metric: Metric) -> int:
    """The spectra of preset chaosrnn need 2100 rows, in each half of the truth."""
    return 4400 if metric.name == "d_h" else 1000


def noise(rows: int = 1000, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, channels))


def forecasts(x: np.ndarray, steps: int = 4) -> np.ndarray:
    """(n, K, N): the rows that a forecast curve needs."""
    starts = max(0, len(x) - steps)
    return np.array([x[k : k + starts] for k in range(1, steps + 1)])


def score_of(metric: Metric, true: Any, other: Any, **words: Any) -> Score:
    """The metric with what it requires; of `other` it gets what it needs."""
    second = forecasts(np.asarray(other)) if metric.needs == "forecast_curve" else other
    return metric.measure(true, second, **words, **{name: SETTINGS[name] for name in metric.requires})


def lacking(metric: Metric, preset: str) -> bool:
    """Whether the preset's source has no such metric."""
    part = {"d_stsp_gmm": "mixture", "power_spectrum_correlation": "correlation", "mase": "mase"}.get(metric.name)
    return part is not None and getattr(PRESETS[preset], part) is None


@every
@any_preset
def test_value_and_floor_are_numbers_on_good_series(metric: Metric, preset: str) -> None:
    score = score_of(metric, noise(rows_for(metric)), noise(rows_for(metric), seed=1), preset=preset)
    assert score.detail["preset"] == preset
    if lacking(metric, preset):
        assert score.value is None and score.floor is None
        assert score.reason is not None and score.reason.startswith(f"preset {preset} has no")
        return
    for value in (score.value, score.floor):
        assert value is not None and math.isfinite(value)
        assert value >= 0 or metric.name in ("power_spectrum_correlation", "d_stsp_gmm")
    assert score.reason is None


@every
@any_preset
def test_scores_are_frozen_and_travel_as_json_without_nan(metric: Metric, preset: str) -> None:
    score = score_of(metric, noise(), noise(seed=1), preset=preset)
    text = json.dumps(score.model_dump(mode="json"), allow_nan=False)
    assert Score.model_validate_json(text) == score
    with pytest.raises(ValidationError):
        score.value = 0.0


@every
@any_preset
def test_inputs_are_left_as_they_are_and_may_be_read_only_integers_or_lists(metric: Metric, preset: str) -> None:
    true, other = noise(rows_for(metric)) * 100, noise(rows_for(metric), seed=1) * 100
    before = true.copy(), other.copy()
    for array in (true, other):
        array.flags.writeable = False
    assert score_of(metric, true, other, preset=preset) == score_of(
        metric, true.tolist(), other.tolist(), preset=preset
    )
    assert (true == before[0]).all() and (other == before[1]).all()
    whole = true.astype(np.int16), other.astype(np.int16)
    floating = [x.astype(float) for x in whole]
    assert score_of(metric, *whole, preset=preset) == score_of(metric, *floating, preset=preset)


@every
@any_preset
@pytest.mark.parametrize("wild", ["nan", "inf", "constant", "far", "huge"])
def test_a_wild_run_gives_a_number_or_a_reason(metric: Metric, preset: str, wild: str) -> None:
    rows = rows_for(metric)
    runs = {
        "nan": np.full((rows, 3), np.nan),
        "inf": np.full((rows, 3), np.inf),
        "constant": np.full((rows, 3), 0.1),
        "far": noise(rows) + 1e6,
        "huge": noise(rows) * 1e300,
    }
    score = score_of(metric, noise(rows), runs[wild], preset=preset)
    assert (score.value is None) == (score.reason is not None)
    if wild in ("nan", "inf") and not lacking(metric, preset):
        assert score.floor is not None
        assert score.value is None or (metric.name == "valid_prediction_time" and score.value == 0)


finite = st.floats(-1e300, 1e300, allow_subnormal=True)


@given(
    true=arrays(np.float64, st.tuples(st.integers(0, 60), st.just(2)), elements=finite),
    other=arrays(np.float64, st.tuples(st.integers(0, 60), st.just(2)), elements=st.floats()),
    preset=st.sampled_from(sorted(PRESETS)),
)
def test_no_input_of_fitting_shape_gives_nan_or_a_warning(true: np.ndarray, other: np.ndarray, preset: str) -> None:
    rows = min(len(true), len(other))
    for metric in COMPARING:
        same = metric.needs != "free_run"
        score = score_of(metric, true[:rows] if same else true, other[:rows] if same else other, preset=preset)
        json.dumps(score.model_dump(mode="json"), allow_nan=False)
        assert (score.value is None) == (score.reason is not None)


def test_a_channel_that_varies_in_the_odd_row_alone_has_no_spectrum_in_decibels() -> None:
    pulse = noise(13, 2)
    pulse[:12, 0] = 0.0
    score = power_spectrum_correlation(pulse, noise(13, 2, seed=1))
    assert score.value is None
    assert score.reason == "a channel of true varies in its last row only, so it has no power spectrum"


def test_a_number_in_the_detail_that_is_not_finite_is_none() -> None:
    detail = {"a": float("inf"), "b": [1.0, float("nan")], "c": {"d": -float("inf")}}
    score = Score(value=1.0, floor=None, detail=detail)
    assert score.detail == {"a": None, "b": [1.0, None], "c": {"d": None}}


@every
def test_an_unknown_preset_is_an_error(metric: Metric) -> None:
    with pytest.raises(UnknownKind):
        score_of(metric, noise(50), noise(50), preset="?")


@every
def test_a_comparison_by_the_thousand_may_leave_the_floor_out(metric: Metric) -> None:
    with_floor, without = (score_of(metric, noise(), noise(seed=1), floor=floor) for floor in (True, False))
    assert without.floor is None and without.value == with_floor.value


def test_the_registry_names_each_function_and_what_it_requires() -> None:
    for name, metric in METRICS.items():
        assert name == metric.name
        parameters = inspect.signature(metric.measure).parameters.values()
        keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
        assert tuple(keywords) == metric.requires
        for section in ("Args:", "Returns:", "Raises:", "Source:"):
            assert section in (inspect.getdoc(metric.measure) or ""), f"{name} has no {section}"
    assert list(METRICS) == sorted(METRICS)


def test_a_score_cannot_hold_nan_nor_both_or_neither_of_value_and_reason() -> None:
    for value, reason in ((math.nan, None), (math.inf, None), (1.0, "why"), (None, None)):
        with pytest.raises(ValidationError):
            Score(value=value, floor=None, reason=reason)


def test_three_scores_travel_together() -> None:
    one = Score(value=1.0, floor=0.5, detail={"rows_true": 3})
    none = Score(value=None, floor=None, reason="no rows")
    scores = Scores(d_stsp=one, d_h=none, prediction_error=one)
    assert Scores.model_validate_json(scores.model_dump_json()) == scores


def test_every_preset_names_its_source() -> None:
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert "arXiv" in preset.source


def test_only_the_own_preset_compares_noisy_data_with_an_equally_noisy_run() -> None:
    assert [name for name, preset in PRESETS.items() if preset.matches_noise] == ["dsr-v1"]
