"""Forecast skill and exponents of trained models whose map is known exactly."""

from dataclasses import replace

import numpy as np
import pytest

from chaos_core.cells.alrnn import ALRNN
from chaos_core.embedding import Embedding
from chaos_core.fitted import Fitted, from_safetensors, to_safetensors
from chaos_core.observation import IdentityObservation
from chaos_core.series import Scaling, Series
from chaos_core.skill import exponent_score, valid_time

ANGLE = 0.1 * np.sqrt(2)


def turning(growth: float = 1.0, exponent: float | None = 0.01) -> Fitted:
    """z' = growth R z: both exponents are ln(growth)."""
    c, s = np.cos(ANGLE), np.sin(ANGLE)
    params = {"A": np.zeros(2), "W": growth * np.array([[c, -s], [s, c]]), "h": np.zeros(2)}
    return Fitted(
        cell=ALRNN(latent=2, rectified=0),
        observation=IdentityObservation(),
        params=params,
        scaling=Scaling((0.0, 0.0), (1.0, 1.0)),
        embedding=Embedding(),
        dt=None,
        names=("u", "v"),
        latent_start=np.array([1.0, 0.0]),
        lambda_per_step=None if exponent is None else (exponent, 0.8 * exponent, 1.2 * exponent),
    )


def circle(steps: int = 6000) -> Series:
    t = ANGLE * np.arange(steps)
    return Series(np.stack([np.cos(t), np.sin(t)], axis=1), names=("u", "v"))


def test_the_true_map_stays_valid_to_the_end() -> None:
    score = valid_time(turning(), circle(), "dsr-v1")
    assert score.value == pytest.approx(10.0)
    assert score.detail["to_the_end"] == score.detail["starts"] == 20


def test_a_map_that_turns_too_fast_is_valid_until_the_phase_is_wrong() -> None:
    """Radius 1, spread sqrt(1/2): the error 2 sin(d t / 2) / (sqrt(2) spread) passes 0.4 at d t = 2 asin(0.2)."""
    fast, extra = turning(), 0.01
    c, s = np.cos(ANGLE + extra), np.sin(ANGLE + extra)
    wrong = replace(fast, params={**fast.params, "W": np.array([[c, -s], [s, c]])})
    score = valid_time(wrong, circle(), "dsr-v1")
    rows = np.floor(2 * np.arcsin(0.2) / extra)
    assert score.value == pytest.approx(0.01 * rows, rel=0.03)
    assert score.detail["shortest"] == pytest.approx(score.detail["longest"], rel=0.05)


def test_without_an_exponent_there_is_no_lyapunov_time_but_a_reason() -> None:
    score = valid_time(turning(exponent=None), circle(), "dsr-v1")
    assert score.value is None and score.reason
    assert exponent_score(turning(exponent=None), circle()).reason


def test_the_exponent_of_a_slowly_growing_rotation_is_its_logarithm() -> None:
    score = exponent_score(turning(growth=np.exp(0.0005), exponent=0.0004), circle())
    assert score.value == pytest.approx(1.25, rel=1e-6)
    assert score.detail["within"] is False
    assert score.detail["spectrum"] == pytest.approx([0.0005, 0.0005], rel=1e-6)


def test_a_model_that_comes_to_rest_has_no_ratio_but_a_reason() -> None:
    score = exponent_score(turning(growth=0.5), circle())
    assert score.value is None
    assert "rest" in str(score.reason)


def test_the_data_s_exponent_survives_the_file() -> None:
    assert from_safetensors(to_safetensors(turning())).lambda_per_step == (0.01, 0.008, 0.012)
    assert from_safetensors(to_safetensors(turning(exponent=None))).lambda_per_step is None
