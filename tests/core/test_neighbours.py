"""Neighbour search and the parting of paths: native code, its twin and a look at all pairs agree to the row."""

from collections.abc import Iterator

import numpy as np
import pytest

from chaos_core.embedding import Embedding, delay_embed, unit_variance
from chaos_core.lyapunov import tree
from chaos_core.lyapunov.neighbours import Orbit, log_distances, near, nearest
from chaos_core.native import Library, library, use
from chaos_core.native import neighbours as native
from chaos_core.systems import henon, lorenz63, with_noise
from chaos_core.typing import Floats, Ints


@pytest.fixture
def without_library(request: pytest.FixtureRequest) -> Iterator[None]:
    level = request.config.getoption("--cpu-level")
    use(())
    yield
    use({None: None, "none": ()}.get(level, [level]))


def lorenz(rows: int, dim: int, noise: float = 0.0) -> Floats:
    series = with_noise(lorenz63(rows + 100), noise)
    return unit_variance(delay_embed(series.x[:, :1], Embedding(dim=dim, lag=3))[:rows])


def lattice(rows: int, dim: int, values: int) -> Floats:
    """Small integers: many states equal, many distances equal, all of them exact."""
    return np.random.default_rng(rows).integers(0, values, (rows, dim)).astype(np.float64)


STATES = [
    *(pytest.param(lorenz(2500, dim), id=f"lorenz {dim}") for dim in (1, 2, 3, 7)),
    pytest.param(lorenz(1500, 24, 0.1), id="lorenz 24, noise"),
    pytest.param(np.round(lorenz(2500, 3), 1), id="lorenz 3, one decimal"),
    pytest.param(np.round(lorenz(2500, 7, 0.05), 1), id="lorenz 7, one decimal"),
    pytest.param(1e-9 * lorenz(1000, 3) + 1e6, id="lorenz 3, far off"),
    pytest.param(np.repeat(lorenz(500, 3), 5, axis=0), id="each state five times"),
    pytest.param(henon(2000).x, id="henon"),
    pytest.param(lattice(2000, 3, 6), id="lattice 3"),
    pytest.param(lattice(700, 1, 3), id="lattice 1"),
    pytest.param(np.ones((700, 2)), id="one state"),
    *(pytest.param(lorenz(rows, 3), id=f"{rows} rows") for rows in (1, 2, 15, 16, 17, 33)),
]


def truth(z: Floats, rows: Ints, points: Floats, own: Ints | None = None, window: int = -1) -> tuple[Floats, Ints]:
    """All pairs: (R, S) distances, inf where left out, and rows in order of distance, then row."""
    distance = np.linalg.norm(points[:, None] - z[None, rows], axis=-1)
    if own is not None:
        distance[(np.abs(own[:, None] - rows) <= window) | (distance == 0)] = np.inf
    return distance, rows[np.argsort(distance, axis=1, kind="stable")]


@pytest.mark.parametrize("z", STATES)
def test_the_native_search_finds_the_rows_of_its_twin(z: Floats, kernels: Library) -> None:
    rows = np.arange(len(z))[: max(1, len(z) - 50)]
    own = np.arange(0, len(z), 3)
    for window in (0, 25, 200):
        ours = native.search(z, rows, z[own], 1, own=own, window=window, kernels=kernels)
        np.testing.assert_array_equal(ours, tree.search(z, rows, z[own], 1, own=own, window=window))
    for count in (1, 30):
        ours = native.search(z, rows, z[own] + 0.01, count, kernels=kernels)
        np.testing.assert_array_equal(ours, tree.search(z, rows, z[own] + 0.01, count))


@pytest.mark.native
@pytest.mark.parametrize("z", [lattice(400, 3, 6), lattice(500, 2, 20), lattice(300, 1, 3), lorenz(600, 3)])
def test_both_searches_find_what_a_look_at_all_pairs_finds(z: Floats) -> None:
    rows, own = np.flatnonzero(np.arange(len(z)) % 7 > 0), np.arange(0, len(z), 2)
    distance, expected = truth(z, rows, z[own], own, 9)
    partner = np.where(np.isfinite(distance.min(axis=1)), expected[:, 0], -1)
    for search in (native.search, tree.search):
        np.testing.assert_array_equal(search(z, rows, z[own], 1, own=own, window=9), partner[:, None])
        np.testing.assert_array_equal(search(z, rows, z[own], 40, own=None), truth(z, rows, z[own])[1][:, :40])


def test_neighbours_in_several_runs_have_room_and_may_lie_in_another_run() -> None:
    z = lorenz(3000, 3)
    orbit = Orbit.of([z[:1200], z[1200:1300], z[1300:]])
    references = orbit.starts(150, 1000)
    partner = nearest(orbit, references, theiler=20, horizon=150)[:, 0]
    distance, expected = truth(z, np.flatnonzero(orbit.room >= 150), z[references], references, 20)
    assert np.isfinite(distance.min(axis=1)).all()
    np.testing.assert_array_equal(partner, expected[:, 0])
    assert (orbit.room[partner] >= 150).all()
    assert ((references < 1200) & (partner >= 1300)).any()


@pytest.mark.native
def test_of_two_neighbours_equally_near_the_earlier_row_is_taken() -> None:
    z = np.array([[1.0], [-1.0], [0.0], [1.0], [-1.0]])
    orbit, middle = Orbit.of([z]), np.array([2])
    assert [int(nearest(orbit, middle, theiler, 0)[0, 0]) for theiler in (0, 1, 2)] == [0, 0, -1]
    for search in (native.search, tree.search):
        np.testing.assert_array_equal(search(z, np.arange(5), z[middle], 5), [[2, 0, 1, 3, 4]])
        np.testing.assert_array_equal(search(z, np.arange(1, 5), z[middle], 1, own=middle), [[1]])


@pytest.mark.native
def test_a_neighbour_beyond_hundreds_of_excluded_rows_is_found() -> None:
    z = np.concatenate([np.linspace(0, 1, 1500), [3.0, 3.0]])[:, None]
    own = np.arange(600)
    for search in (native.search, tree.search):
        np.testing.assert_array_equal(search(z, np.arange(1502), z[own], 1, own=own, window=900), own[:, None] + 901)
        np.testing.assert_array_equal(search(z, np.arange(1502), z[:1], 1, own=own[:1], window=1499), [[1500]])


def test_there_is_no_neighbour_where_window_or_horizon_leave_no_row() -> None:
    orbit = Orbit.of([lorenz(600, 3)])
    references = np.arange(0, 600, 5)
    for theiler, horizon in ((600, 0), (10**9, 10), (2**62, 0), (5, 600)):
        assert (nearest(orbit, references, theiler, horizon) == -1).all()
        rows = np.flatnonzero(orbit.room >= horizon)
        twin = tree.search(orbit.z, rows, orbit.z[references], 1, own=references, window=theiler)
        np.testing.assert_array_equal(twin, np.full((120, 1), -1))
    assert nearest(orbit, references[:0], 5, 5).shape == (0, 1)


def test_near_states_come_in_order_with_the_state_itself_first() -> None:
    z = lorenz(900, 5)
    found = near(z, z[::10], 30)
    np.testing.assert_array_equal(found, truth(z, np.arange(900), z[::10])[1][:, :30])
    np.testing.assert_array_equal(found[:, 0], np.arange(0, 900, 10))


@pytest.mark.native
def test_more_near_states_than_there_are_is_all_of_them() -> None:
    z = lorenz(70, 3)
    expected = truth(z, np.arange(70), z[:9])[1]
    np.testing.assert_array_equal(near(z, z[:9], 100), expected)
    padded = np.c_[expected, np.full((9, 30), -1)]
    for search in (native.search, tree.search):
        np.testing.assert_array_equal(search(z, np.arange(70), z[:9], 100), padded)
    for states, count in ((z, 0), (z[:0], 5)):
        with pytest.raises(ValueError, match="1 or more"):
            near(states, z, count)


def test_points_far_outside_find_the_edge() -> None:
    z = lorenz(1000, 3)
    points = np.array([[1e3, 1e3, 1e3], [-1e3, 0, 0], [1e8, 0, 0]])
    np.testing.assert_array_equal(near(z, points, 5), truth(z, np.arange(1000), points)[1][:, :5])


def test_without_a_library_the_twin_answers(without_library: None) -> None:
    assert library() is None
    orbit, references = Orbit.of([lorenz(900, 3)]), np.arange(0, 800, 3)
    distance, expected = truth(orbit.z, np.arange(850), orbit.z[references], references, 20)
    assert np.isfinite(distance.min(axis=1)).all()
    partner = nearest(orbit, references, 20, 50)[:, 0]
    np.testing.assert_array_equal(partner, expected[:, 0])
    np.testing.assert_array_equal(near(orbit.z, orbit.z[:9], 30)[:, 0], np.arange(9))
    logs = log_distances(orbit, references, partner, 50)
    np.testing.assert_allclose(logs[:, 0], np.log(distance.min(axis=1)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dim", [1, 3, 7, 24])
def test_log_distances_are_those_of_numpy_and_nan_where_states_are_equal(dim: int, kernels: Library) -> None:
    orbit = Orbit.of([np.round(lorenz(1000, dim), 2)])
    here, there = np.random.default_rng(dim).integers(0, 901, (2, 300))
    there[:5] = here[:5]
    steps = np.arange(100)
    distance = np.linalg.norm(orbit.z[here[:, None] + steps] - orbit.z[there[:, None] + steps], axis=-1)
    expected = np.log(np.where(distance > 0, distance, np.nan))
    assert np.isnan(expected[:5]).all()
    np.testing.assert_allclose(log_distances(orbit, here, there, 99), expected, rtol=0, atol=1e-12)
    for squares in (
        native.path_squares(orbit.z, here, there, 99, kernels=kernels),
        tree.path_squares(orbit.z, here, there, 99),
    ):
        assert squares is not None
        np.testing.assert_allclose(0.5 * np.log(squares), expected, rtol=0, atol=1e-12)


@pytest.mark.native
def test_paths_end_with_the_last_row_and_none_reaches_beyond() -> None:
    orbit = Orbit.of([lorenz(100, 3)])
    assert np.isfinite(log_distances(orbit, np.array([80]), np.array([3]), 19)).all()
    assert log_distances(orbit, np.zeros(0, np.int64), np.zeros(0, np.int64), 19).shape == (0, 20)
    for paths in (native.path_squares, tree.path_squares):
        with pytest.raises(IndexError):
            paths(orbit.z, np.array([3]), np.array([81]), 19)
    with pytest.raises(IndexError, match="100 rows"):
        native.path_squares(orbit.z, np.array([-1]), np.array([3]), 19)


@pytest.mark.native
def test_the_native_code_refuses_shapes_that_do_not_fit() -> None:
    z, one = lorenz(50, 3), np.array([1])
    rows = np.arange(50)
    for points, count in ((z[:, :2], 1), (z[0], 1), (z, 0)):
        with pytest.raises(ValueError, match="points must be"):
            native.search(z, rows, points, count)
    with pytest.raises(ValueError, match="own must be"):
        native.search(z, rows, z, 1, own=one)
    for here, there, horizon in ((one, rows, 5), (one, one, -1), (one[None], one[None], 5)):
        with pytest.raises(ValueError, match="here and there"):
            native.path_squares(z, here, there, horizon)
