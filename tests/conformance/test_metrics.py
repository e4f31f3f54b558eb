"""What every metric in every preset must do."""

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from chaos_core.metrics import PRESETS, Score, Scores, d_h, d_stsp, prediction_error

Metric = Callable[..., Score]
METRICS: list[Metric] = [d_stsp, d_h, prediction_error]
every = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
any_preset = pytest.mark.parametrize("preset", PRESETS)


def noise(rows: int = 3000, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, channels))


@every
@any_preset
def test_value_and_floor_are_numbers_on_good_series(metric: Metric, preset: str) -> None:
    score = metric(noise(6000), noise(6000, seed=1), preset=preset)
    assert score.value is not None and score.value >= 0 and math.isfinite(score.value)
    assert score.floor is not None and score.floor >= 0 and math.isfinite(score.floor)
    assert score.reason is None
    assert score.detail["preset"] == preset


@every
@any_preset
def test_scores_are_frozen_and_travel_as_json_without_nan(metric: Metric, preset: str) -> None:
    score = metric(noise(), noise(seed=1), preset=preset)
    text = json.dumps(score.model_dump(mode="json"), allow_nan=False)
    assert Score.model_validate_json(text) == score
    with pytest.raises(ValidationError):
        score.value = 0.0  # type: ignore[misc]


@every
@any_preset
def test_inputs_are_left_as_they_are_and_may_be_read_only_integers_or_lists(metric: Metric, preset: str) -> None:
    true, other = noise() * 100, noise(seed=1) * 100
    before = true.copy(), other.copy()
    for array in (true, other):
        array.flags.writeable = False
    assert metric(true, other, preset=preset) == metric(true.tolist(), other.tolist(), preset=preset)
    assert (true == before[0]).all() and (other == before[1]).all()
    whole = true.astype(np.int16), other.astype(np.int16)
    assert metric(*whole, preset=preset) == metric(*(x.astype(float) for x in whole), preset=preset)


@every
@any_preset
@pytest.mark.parametrize("wild", ["nan", "inf", "constant", "far", "huge"])
def test_a_wild_run_gives_a_number_or_a_reason(metric: Metric, preset: str, wild: str) -> None:
    runs = {
        "nan": np.full((6000, 3), np.nan),
        "inf": np.full((6000, 3), np.inf),
        "constant": np.full((6000, 3), 0.1),
        "far": noise(6000) + 1e6,
        "huge": noise(6000) * 1e300,
    }
    score = metric(noise(6000), runs[wild], preset=preset)
    assert (score.value is None) == (score.reason is not None)
    if wild in ("nan", "inf"):
        assert score.value is None and score.floor is not None


finite = st.floats(-1e300, 1e300, allow_subnormal=True)


@settings(max_examples=60, deadline=None)
@given(
    true=arrays(np.float64, st.tuples(st.integers(0, 60), st.just(2)), elements=finite),
    other=arrays(np.float64, st.tuples(st.integers(0, 60), st.just(2)), elements=st.floats()),
    preset=st.sampled_from(sorted(PRESETS)),
)
def test_no_input_of_fitting_shape_gives_nan_or_a_warning(true: np.ndarray, other: np.ndarray, preset: str) -> None:
    rows = min(len(true), len(other))
    for score in (
        d_stsp(true, other, preset=preset),
        d_h(true, other, preset=preset),
        prediction_error(true[:rows], other[:rows], n=3, preset=preset),
    ):
        json.dumps(score.model_dump(mode="json"), allow_nan=False)
        assert (score.value is None) == (score.reason is not None)


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
