import numpy as np
import pytest

from chaos_core.errors import (
    BadShape,
    BadStep,
    ChaosError,
    ConstantChannel,
    EmptyData,
    NotFinite,
    NotReal,
    TooShort,
    UnreadableFile,
)
from chaos_core.series import MIN_ROWS, Scaling, Series


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((100, 3)) * [1.0, 20.0, 0.01] + [5.0, -3.0, 0.0]


def test_a_vector_becomes_one_channel(x: np.ndarray) -> None:
    series = Series(x[:, 0], 0.1)
    assert (series.length, series.channels, series.names, series.dt) == (100, 1, ("x0",), 0.1)


def test_the_callers_array_is_copied_and_ours_is_read_only(x: np.ndarray) -> None:
    series = Series(x)
    x[0, 0] = 1e9
    assert series.x[0, 0] != 1e9
    with pytest.raises(ValueError, match="read-only"):
        series.x[0, 0] = 0.0


@pytest.mark.parametrize(
    ("array", "error"),
    [
        (np.zeros((0, 3)), EmptyData),
        (np.zeros((40, 2, 2)), BadShape),
        (np.zeros(40, dtype=complex), NotReal),
        (np.array(["a"] * 40), NotReal),
        (np.arange(3.0), TooShort),
        (np.arange(MIN_ROWS - 1.0), TooShort),
        (np.ones((40, 1)), ConstantChannel),
        (np.full((40, 1), 1e9), ConstantChannel),
    ],
)
def test_bad_arrays_get_their_own_error(array: np.ndarray, error: type[ChaosError]) -> None:
    with pytest.raises(error):
        Series(array)


def test_a_nan_is_named_by_row_and_column(x: np.ndarray) -> None:
    x[17, 1] = np.nan
    with pytest.raises(NotFinite) as caught:
        Series(x, names=["u", "v", "w"])
    assert caught.value.fields == {"row": 17, "column": "v", "count": 1}


def test_missing_entries_may_be_masked_and_cut_the_series_into_runs(x: np.ndarray) -> None:
    x[10, 0] = np.inf
    x[50:53, 2] = np.nan
    series = Series(x, missing="mask")
    assert series.mask.sum() == 4
    assert series.runs() == [slice(0, 10), slice(11, 50), slice(53, 100)]
    assert series.runs(min_rows=40) == [slice(53, 100)]


def test_runs_never_cross_a_stretch(x: np.ndarray) -> None:
    series = Series(x, stretch=np.repeat([0, 1, 4], [30, 30, 40]))
    assert series.runs() == [slice(0, 30), slice(30, 60), slice(60, 100)]


def test_stretches_must_not_go_back(x: np.ndarray) -> None:
    with pytest.raises(BadShape, match="never decrease"):
        Series(x, stretch=np.repeat([1, 0], 50))


@pytest.mark.parametrize("dt", [0.0, -1.0, float("nan"), float("inf")])
def test_dt_must_be_positive(x: np.ndarray, dt: float) -> None:
    with pytest.raises(BadStep, match="dt must be a positive number"):
        Series(x, dt)


def test_a_split_by_time_loses_no_row(x: np.ndarray) -> None:
    parts = Series(x).split(0.7, 0.1, 0.2)
    assert [part.length for part in parts] == [70, 10, 20]
    np.testing.assert_array_equal(np.concatenate([part.x for part in parts]), x)


def test_shares_that_do_not_add_up_are_refused(x: np.ndarray) -> None:
    with pytest.raises(BadShape, match="do not add up"):
        Series(x).split(0.7, 0.1, 0.1)


def test_a_stored_series_comes_back_equal(x: np.ndarray) -> None:
    x[3, 1] = np.nan
    series = Series(x, 0.25, names=["a", "b", "c"], stretch=np.repeat([0, 1], 50), missing="mask")
    again = Series.from_npz(series.to_npz())
    assert again.digest() == series.digest()
    assert (again.dt, again.names) == (0.25, ("a", "b", "c"))
    np.testing.assert_array_equal(again.mask, series.mask)


def test_equal_series_are_stored_as_equal_bytes(x: np.ndarray) -> None:
    assert Series(x, 0.1).to_npz() == Series(x.copy(), 0.1).to_npz()


def test_every_part_of_a_series_enters_its_digest(x: np.ndarray) -> None:
    changed = x.copy()
    changed[0, 0] += 1e-9
    variants = [
        Series(x),
        Series(changed),
        Series(x, 0.1),
        Series(x, names=["a", "b", "c"]),
        Series(x, stretch=[0] * 50 + [1] * 50),
    ]
    assert len({series.digest() for series in variants}) == len(variants)


def test_bytes_that_are_no_series_are_refused() -> None:
    with pytest.raises(UnreadableFile):
        Series.from_npz(b"PK not a zip")


def test_scaling_is_the_z_score_and_can_be_undone(x: np.ndarray) -> None:
    scaling = Scaling.of(Series(x))
    scaled = scaling.apply(x)
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(scaling.undo(scaled), x, rtol=1e-12)


def test_scaling_of_a_flat_piece_names_the_channel(x: np.ndarray) -> None:
    x[:50, 2] = 7.0
    with pytest.raises(ConstantChannel, match="x2"):
        Scaling.of(Series(x).rows(0, 50))
