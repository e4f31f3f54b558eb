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
def test_no_window_touches_a_gap_or_crosses_a_stretch(embedding: Embedding) -> None:
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
