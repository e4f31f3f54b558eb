"""Facts of a series against the same facts counted plainly."""

import statistics

import numpy as np

from chaos_core.description import QUANTILES, Flat, describe
from chaos_core.series import Series


def test_moments_and_quantiles_are_those_of_the_entries_that_are_there() -> None:
    x = np.random.default_rng(0).normal(3.0, 2.0, (400, 2))
    x[[5, 6, 200], 1] = np.nan
    found = describe(Series(x, 0.5, names=("a", "b"), missing="mask", inputs=np.ones(400), input_names=("u",)))
    a, b, u = found.columns
    there = sorted(x[np.isfinite(x[:, 1]), 1].tolist())
    assert (a.count, a.missing, b.count, b.missing, u.role) == (400, 0, 397, 3, "input")
    assert (b.min, b.max) == (there[0], there[-1])
    np.testing.assert_allclose([b.mean, b.std], [statistics.fmean(there), statistics.pstdev(there)])
    assert list(b.quantiles) == [f"{share:g}" for share in QUANTILES]
    np.testing.assert_allclose(b.quantiles["0.5"], statistics.median(there))
    np.testing.assert_allclose(b.quantiles["0.25"], statistics.quantiles(there, n=4, method="inclusive")[0])
    assert a.warnings == [] and "3 entries" in b.warnings[0]
    assert u.flat == Flat(0, 400, 1.0) and len(u.warnings) == 1


def test_a_stuck_sensor_is_found_with_its_rows_but_never_across_recordings() -> None:
    x = np.random.default_rng(1).normal(size=1000)
    x[300:340] = 7.0
    x[690:710] = 9.0
    stretch = np.repeat([0, 1], [700, 300])
    (column,) = describe(Series(x, stretch=stretch)).columns
    assert column.flat == Flat(300, 40, 7.0)
    assert column.warnings == ["'x0' is 7 in the 40 rows 300 to 339"]
    x[300:340] = np.random.default_rng(2).normal(size=40)
    (column,) = describe(Series(x, stretch=stretch)).columns
    assert column.flat == Flat(690, 10, 9.0) and column.warnings == []


def test_values_that_never_repeat_have_no_flat_run() -> None:
    (column,) = describe(Series(np.arange(100.0))).columns
    assert column.flat is None


def test_the_sampling_tells_recordings_and_gaps() -> None:
    x = np.random.default_rng(0).normal(size=(100, 2))
    x[10:13, 0] = np.nan
    x[12:20, 1] = np.nan
    x[99, 1] = np.nan
    facts = describe(Series(x, 0.1, missing="mask", stretch=np.repeat([0, 1, 2], [40, 50, 10]))).sampling
    assert (facts.rows, facts.dt, facts.stretch_count) == (100, 0.1, 3)
    assert (facts.shortest_stretch, facts.longest_stretch) == (10, 50)
    assert facts.stretches == [(0, 40), (40, 90), (90, 100)]
    assert (facts.gaps, facts.gap_rows, facts.longest_gap) == (2, 11, 10)
    np.testing.assert_allclose(facts.duration, 9.7)
    whole = describe(Series(np.arange(50.0))).sampling
    assert (whole.duration, whole.gaps, whole.longest_gap) == (None, 0, 0)
