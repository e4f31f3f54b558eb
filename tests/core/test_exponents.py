import json
import math

import numpy as np
import pytest

from chaos_core.errors import BadShape
from chaos_core.metrics import lambda_ratio


def test_the_ratio_its_interval_and_both_exponents_stand_in_the_score() -> None:
    score = lambda_ratio([-0.1, 0.012], lambda_max_per_step=0.01, low=0.008, high=0.0125, error=0.001)
    assert score.value == pytest.approx(1.2)
    assert score.detail["within"] is True
    assert (score.detail["ratio_low"], score.detail["ratio_high"]) == (pytest.approx(0.96), pytest.approx(1.5))
    assert score.detail["spectrum"] == [0.012, -0.1]
    assert (score.detail["lambda_cell_per_step"], score.detail["lambda_max_per_step"]) == (0.012, 0.01)


def test_a_cell_that_is_not_chaotic_has_a_negative_ratio_outside_the_interval() -> None:
    score = lambda_ratio([-0.02], lambda_max_per_step=0.01, low=0.008, high=0.012)
    assert score.value == pytest.approx(-2.0)
    assert score.detail["within"] is False
    assert score.detail["ratio_low"] < score.detail["ratio_high"]


def test_known_exponents_are_compared_one_by_one() -> None:
    score = lambda_ratio([0.0093, -0.0007, -0.195], lambda_max_per_step=0.009, data_spectrum=[0.009, 0.0, -0.146])
    assert score.detail["differences"] == pytest.approx([0.0003, -0.0007, -0.049])
    short = lambda_ratio([0.1, -0.3, -0.5], lambda_max_per_step=0.1, data_spectrum=[0.2, -0.2])
    assert short.detail["differences"] == pytest.approx([-0.1, -0.1])


def test_minus_infinity_travels_as_json() -> None:
    score = lambda_ratio([0.1, -math.inf], lambda_max_per_step=0.1)
    assert score.detail["spectrum"] == [0.1, None]
    json.dumps(score.model_dump(mode="json"), allow_nan=False)


def test_without_exponents_or_without_chaos_there_is_a_reason() -> None:
    assert lambda_ratio(None, lambda_max_per_step=0.1).reason == "the cell has no exponents"
    assert lambda_ratio(None, lambda_max_per_step=0.1, reason="all runs left").reason == "all runs left"
    assert lambda_ratio([0.1], lambda_max_per_step=0.1, reason="came to rest").value is None
    assert "minus infinity" in str(lambda_ratio([-math.inf], lambda_max_per_step=0.1).reason)
    for rate in (None, 0.0, -0.1):
        assert "no positive exponent" in str(lambda_ratio([0.1], lambda_max_per_step=rate).reason)


@pytest.mark.parametrize("bad", [[], [[0.1]], [math.nan], [math.inf]])
def test_misuse_is_an_error(bad: list[float]) -> None:
    with pytest.raises(BadShape):
        lambda_ratio(np.array(bad), lambda_max_per_step=0.1)
