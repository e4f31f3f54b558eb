import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from chaos_core.thinning import FEWEST, kept_places

CURVES = arrays.arrays(np.float64, st.integers(0, 200), elements=st.floats(-1e6, 1e6) | st.just(np.nan))


@given(CURVES, st.integers(FEWEST, 60))
def test_ends_and_extremes_stay_and_no_more_than_asked_for(values: np.ndarray, most: int) -> None:
    places = kept_places(values, most)
    assert len(places) <= max(most, 0) and (np.diff(places) > 0).all()
    if len(values):
        assert (places[0], places[-1]) == (0, len(values) - 1)
    if np.isfinite(values).any():
        assert np.nanmax(values[places]) == np.nanmax(values)
        assert np.nanmin(values[places]) == np.nanmin(values)
    assert (places == kept_places(values, most)).all()


def test_short_curves_stay_whole() -> None:
    assert kept_places(np.zeros(5), 5).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("most", [4, 10, 100])
def test_a_single_peak_is_never_lost(most: int) -> None:
    for place in range(1000):
        values = np.zeros(1000)
        values[place] = 1.0
        assert place in kept_places(values, most)


def test_a_stretch_without_numbers_keeps_a_place() -> None:
    values = np.r_[np.ones(50), np.full(50, np.nan), np.ones(50)]
    assert np.isnan(values[kept_places(values, 20)]).any()
