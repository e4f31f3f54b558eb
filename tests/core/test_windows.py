import numpy as np
import pytest

from chaos_core.embedding import Embedding
from chaos_core.errors import TooShort
from chaos_core.series import Scaling, Series
from chaos_core.windows import embedded_rows, longest_run

ROWS = 60


def broken_series() -> Series:
    """Values tell their row; a gap at row 20, and another stretch from row 40 on."""
    x = np.arange(float(ROWS))
    x[20] = np.nan
    return Series(x, stretch=(np.arange(ROWS) >= 40).astype(int), missing="mask")


@pytest.mark.parametrize("embedding", [Embedding(), Embedding(dim=3, lag=2)])
def test_no_window_of_complete_rows_touches_a_gap_or_crosses_a_stretch(embedding: Embedding) -> None:
    rows = embedded_rows(broken_series(), Scaling((0.0,), (1.0,)), embedding)
    windows = [rows.x[start : start + 6] for start in rows.starts(6)]
    assert windows
    for window in windows:
        assert (np.diff(window[:, 0]) == 1).all()
        touched = {int(value) for value in window.ravel()}
        assert 20 not in touched
        assert not (min(touched) < 40 <= max(touched))


def test_every_complete_window_is_found() -> None:
    rows = embedded_rows(broken_series(), Scaling((0.0,), (1.0,)), Embedding())
    first = [int(rows.x[start, 0]) for start in rows.starts(19)]
    assert first == [0, 1, 21, 40, 41]


def test_a_series_without_a_whole_window_is_too_short() -> None:
    rows = embedded_rows(broken_series(), Scaling((0.0,), (1.0,)), Embedding())
    with pytest.raises(TooShort) as caught:
        rows.starts(21)
    assert caught.value.fields == {"rows": 20, "rows_needed": 21}


def test_the_longest_run_is_the_longest_piece_without_a_break() -> None:
    assert longest_run(broken_series()).x[:, 0].tolist() == list(range(20))


def test_starts_are_spread_over_the_rows() -> None:
    rows = embedded_rows(Series(np.arange(100.0)), Scaling((0.0,), (1.0,)), Embedding())
    assert rows.spread(4)[:, 0].tolist() == [12.0, 37.0, 62.0, 87.0]
    assert rows.spread(0).shape == (0, 1)


def test_a_short_gap_is_left_open_inside_a_run_and_a_long_one_ends_it() -> None:
    rows = embedded_rows(broken_series(), Scaling((0.0,), (1.0,)), Embedding(), longest_gap=1)
    assert rows.edges == (0, 40, 60)
    assert not rows.complete
    assert np.flatnonzero(~rows.present[:, 0]).tolist() == [20]
    assert np.isnan(rows.x[20, 0]) and np.isnan(rows.seen[20, 0]) and not rows.bridged
    whole = Series(np.arange(float(ROWS)), stretch=broken_series().stretch)
    bridged = embedded_rows(broken_series(), Scaling((0.0,), (1.0,)), Embedding(), bridged=whole, longest_gap=1)
    assert np.isnan(bridged.x[20, 0]) and bridged.seen[20, 0] == 20.0 and bridged.bridged
    long = np.arange(60.0)
    long[20:23] = np.nan
    cut = embedded_rows(Series(long, missing="mask"), Scaling((0.0,), (1.0,)), Embedding(), longest_gap=2)
    assert cut.edges == (0, 20, 57)


def test_a_gap_does_not_join_two_stretches() -> None:
    x = np.arange(60.0)
    x[38:42] = np.nan
    series = Series(x, stretch=(np.arange(60) >= 40).astype(int), missing="mask")
    assert series.gap_lengths()[36:44, 0].tolist() == [0, 0, 2, 2, 2, 2, 0, 0]
    assert [(run.start, run.stop) for run in series.runs(longest_gap=2)] == [(0, 40), (40, 60)]


def test_windows_start_on_complete_rows_and_are_at_least_half_measured() -> None:
    x = np.random.default_rng(0).standard_normal((400, 2))
    x[np.random.default_rng(1).random((400, 2)) < 0.3] = np.nan
    x[200:260] = np.nan
    rows = embedded_rows(Series(x, missing="mask"), Scaling((0.0,) * 2, (1.0,) * 2), Embedding(), longest_gap=80)
    starts = rows.starts(40)
    assert rows.present[starts].all()
    assert all(rows.present[start : start + 40].mean() >= 0.5 for start in starts)
    assert not ((starts > 185) & (starts < 230)).any()


def test_where_hardly_a_row_is_complete_windows_start_anywhere() -> None:
    x = np.random.default_rng(0).standard_normal((300, 20))
    x[np.random.default_rng(1).random(x.shape) < 0.2] = np.nan
    rows = embedded_rows(Series(x, missing="mask"), Scaling((0.0,) * 20, (1.0,) * 20), Embedding(), longest_gap=9)
    assert len(rows.starts(30)) == 271


def test_inputs_stay_beside_their_rows() -> None:
    u = np.arange(60.0) ** 2
    series = Series(np.arange(60.0), inputs=u, input_names=("stimulus",))
    rows = embedded_rows(
        series, Scaling((0.0,), (1.0,)), Embedding(dim=3, lag=2), input_scaling=Scaling((0.0,), (2.0,))
    )
    np.testing.assert_array_equal(rows.u[:, 0], rows.x[:, 0] ** 2 / 2)
