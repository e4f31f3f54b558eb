"""Bridges over short gaps."""

import numpy as np
import pytest

from chaos_core.analysis import analyse
from chaos_core.gaps import bridged
from chaos_core.series import Series
from chaos_core.systems import henon, lorenz63


def with_missing(x: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    holes = x.copy()
    holes[np.random.default_rng(seed).random(x.shape) < share] = np.nan
    return holes


def test_a_series_without_gaps_stays_the_very_same() -> None:
    series = lorenz63(500)
    assert bridged(series) == (series, 0)


def test_short_gaps_of_a_flow_are_bridged_to_a_thousandth_of_its_spread() -> None:
    truth = lorenz63(5000).x
    filled, longest = bridged(Series(with_missing(truth, 0.2), 0.01, missing="mask"))
    assert 5 <= longest <= 12
    inside = np.s_[20:-20]
    error = np.abs(filled.x - truth)[inside] / truth.std(axis=0)
    assert np.nanmax(error) < 0.2
    assert np.sqrt(np.nanmean(error**2)) < 2e-3
    assert not filled.mask[inside].any()


def test_long_gaps_and_the_ends_stay_open() -> None:
    x = lorenz63(3000).x.copy()
    x[1000:1100] = np.nan
    x[:3] = np.nan
    x[2998:] = np.nan
    x[2000:2003] = np.nan
    filled, longest = bridged(Series(x, 0.01, missing="mask"))
    assert longest < 100
    assert np.flatnonzero(filled.mask.all(axis=1)).tolist() == [0, 1, 2, *range(1000, 1100), 2998, 2999]


def test_no_bridge_spans_two_recordings() -> None:
    x = lorenz63(3000).x.copy()
    x[1498:1502] = np.nan
    filled, _ = bridged(Series(x, stretch=(np.arange(3000) >= 1500).astype(int), missing="mask"))
    assert filled.mask[1498:1502].all()


def test_a_map_is_left_as_it_is() -> None:
    series = Series(with_missing(henon(2000).x, 0.02), 1.0, missing="mask")
    assert bridged(series) == (series, 0)


def test_the_exponent_of_a_series_with_a_fifth_missing_is_that_of_the_whole() -> None:
    whole = lorenz63(10_000)
    holes = Series(with_missing(whole.x, 0.2), 0.01, missing="mask")
    first, second = analyse(whole), analyse(holes)
    assert first.lambda_max is not None and second.lambda_max is not None
    assert second.lambda_max == pytest.approx(first.lambda_max, rel=0.1)
    assert second.missing == int(holes.mask.sum())
    assert any("bridged" in reason for reason in second.reasons)
