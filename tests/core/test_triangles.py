"""Largest triangles against the algorithm written out plainly."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos_core.thinning import FEWEST
from chaos_core.triangles import largest_triangles

NUMBERS = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=120)


def plain(values: list[float], most: int) -> list[int]:
    """The algorithm of the thesis, point by point, on the same stretches."""
    count = len(values)
    if count <= most:
        return list(range(count))
    edges = [1 + (count - 2) * k // (most - 2) for k in range(most - 1)]
    kept = [0]
    for k in range(most - 2):
        own = range(edges[k], edges[k + 1])
        after = range(edges[k + 1], edges[k + 2]) if k < most - 3 else range(count - 1, count)
        mean_place = sum(after) / len(after)
        mean_value = sum(values[i] for i in after) / len(after)
        a, best, largest = kept[-1], own[0], -1.0
        for i in own:
            area = abs((a - mean_place) * (values[i] - values[a]) - (a - i) * (mean_value - values[a])) / 2
            if area > largest + 1e-9:
                best, largest = i, area
        kept.append(best)
    return [*kept, count - 1]


def area(values: np.ndarray[tuple[int], np.dtype[np.float64]], a: int, b: int, after: range) -> float:
    place, value = np.mean(after), np.mean(values[after.start : after.stop])
    return abs((a - float(place)) * (values[b] - values[a]) - (a - b) * (float(value) - values[a])) / 2


@given(NUMBERS, st.integers(FEWEST, 40))
@settings(max_examples=300)
def test_the_plain_algorithm_keeps_triangles_of_the_same_size(numbers: list[float], most: int) -> None:
    """Triangles of one size may be chosen differently by rounding; then the two go apart, and the rest is not asked."""
    values = np.array(numbers)
    ours, theirs = largest_triangles(values, most).tolist(), plain(numbers, most)
    assert len(ours) == len(theirs) == min(most, len(numbers))
    assert ours == sorted(set(ours))
    if ours == theirs or len(numbers) <= most:
        return
    edges = [*(1 + (len(values) - 2) * k // (most - 2) for k in range(most - 1)), len(values)]
    first = next(k for k in range(len(ours)) if ours[k] != theirs[k])
    after = range(edges[first], edges[first + 1])
    sizes = [area(values, ours[first - 1], place, after) for place in (ours[first], theirs[first])]
    np.testing.assert_allclose(*sizes, atol=1e-6)


def test_a_lonely_peak_stays_and_the_ends_do() -> None:
    values = np.sin(np.arange(10_000) / 500)
    values[6321] = 40.0
    kept = largest_triangles(values, 50)
    assert {0, 6321, 9999} <= set(kept.tolist()) and len(kept) == 50


def test_a_gap_stays_visible_and_the_rest_is_chosen_around_it() -> None:
    values = np.sin(np.arange(1000) / 20)
    values[300:600] = np.nan
    kept = largest_triangles(values, 100)
    assert 25 <= np.isnan(values[kept]).sum() <= 32
    assert np.isfinite(values[kept][:25]).all() and np.isfinite(values[kept][-35:]).all()
    assert largest_triangles(np.full(100, np.nan), 10).size == 10


def test_a_single_nan_never_hides_the_values_beside_it() -> None:
    values = np.cos(np.arange(500) / 9)
    values[[0, 123, 499]] = np.nan
    assert np.isfinite(values[largest_triangles(values, 60)][1:-1]).all()
