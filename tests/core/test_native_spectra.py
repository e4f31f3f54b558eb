"""Native Lyapunov exponents against those in numpy: every kind and CPU level, runs that escape, rest or flatten."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.cells.alrnn import ALRNN
from chaos_core.cells.base import Cell
from chaos_core.cells.gru import GRU
from chaos_core.cells.lem import LEM
from chaos_core.cells.lstm import LSTM
from chaos_core.cells.plrnn import PLRNN
from chaos_core.cells.shplrnn import ClippedShPLRNN, ShPLRNN
from chaos_core.equations import free_equations
from chaos_core.errors import BadShape, Inconsistent
from chaos_core.lyapunov.spectrum import Spectrum, cell_spectrum, lyapunov_spectrum
from chaos_core.native import Library, walk
from chaos_core.typing import Floats, NumpyParams
from tests.core.native_cells import CELLS, of_size, parameters, starts

pytestmark = pytest.mark.native

LIMIT = 1e6
RUNS = 8


def maps(cell: Cell, params: NumpyParams) -> tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]:
    p = as_arrays(params)
    return lambda z: as_numpy(cell.step(p, as_array(z))), lambda z: as_numpy(cell.jacobian(p, as_array(z)))


def in_numpy(cell: Cell, params: NumpyParams, z0: Floats, **words: Any) -> Spectrum:
    return lyapunov_spectrum(*maps(cell, params), z0, **words)


def same(ours: Spectrum, wanted: Spectrum, tolerance: float = 1e-10) -> None:
    assert (ours.escaped, ours.rested, ours.reason) == (wanted.escaped, wanted.rested, wanted.reason)
    assert ours.steps == wanted.steps
    np.testing.assert_allclose(ours.by_start, wanted.by_start, rtol=0, atol=tolerance)
    assert (ours.exponents is None) == (wanted.exponents is None)


def turning(planes: int, kinks: int) -> tuple[ShPLRNN, dict[str, Floats]]:
    """A cell that turns for ever and crosses small kinks all the while.

    Units whose threshold is far away are linear and turn the planes; with them the run neither grows nor shrinks.
    """
    m, far = 2 * planes, 100.0
    cell = ShPLRNN(latent=m, hidden=m + kinks)
    rng = np.random.default_rng(1)
    turn = -0.9 * np.eye(m)
    for i, angle in enumerate(0.1 + 0.4 * rng.random(planes)):
        turn[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] += 0.999 * np.array(
            [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        )
    return cell, {
        "A": np.full(m, 0.9),
        "W1": np.concatenate([turn, 0.01 * rng.standard_normal((m, kinks))], axis=1),
        "W2": np.concatenate([np.eye(m), rng.standard_normal((kinks, m))]),
        "h1": -turn.sum(axis=1) * far,
        "h2": np.concatenate([np.full(m, far), 0.5 * rng.standard_normal(kinks)]),
    }


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_native_exponents_equal_those_in_numpy(cell: Cell, every: int) -> None:
    """An LSTM parts its directions by seven nats a step: three steps leave too few digits for 1e-10."""
    params, z0 = parameters(cell), starts(cell, RUNS)
    words: dict[str, Any] = {"steps": 22, "burn_in": 3, "every": 1 if cell.kind == "lstm" else every}
    same(cell_spectrum(cell, params, z0, **words), in_numpy(cell, params, z0, **words))


@pytest.mark.parametrize("cell", of_size(5), ids=repr)
def test_every_level_gives_the_same_exponents(cell: Cell, kernels: Library) -> None:
    params, z0 = parameters(cell), starts(cell, RUNS)
    runs = walk(free_equations(cell), params, z0, LIMIT, kernels=kernels)
    assert runs is not None
    rates = -np.sort(-runs.go(21, 1) / 21, axis=1)
    wanted = in_numpy(cell, params, z0, steps=21, burn_in=0, every=1)
    assert runs.inside.all()
    np.testing.assert_allclose(rates, wanted.by_start, rtol=0, atol=1e-10)


@pytest.mark.parametrize("every", [1, 7, None])
def test_a_jacobian_brought_up_to_date_many_times_keeps_its_digits(every: int | None) -> None:
    cell, params = turning(3, 30)
    z0 = starts(cell, 2)
    words: dict[str, Any] = {"steps": 500, "burn_in": 20, "every": every}
    found = cell_spectrum(cell, params, z0, **words)
    same(found, in_numpy(cell, params, z0, **words))
    assert (found.escaped, found.rested) == (0, 0)


def test_the_frames_are_orthonormal_and_those_of_numpy_but_for_signs(kernels: Library) -> None:
    cell = GRU(latent=5)
    params, z0 = parameters(cell), starts(cell)
    runs = walk(free_equations(cell), params, z0, LIMIT, kernels=kernels)
    assert runs is not None
    runs.go(3, 3)
    step, jacobian = maps(cell, params)
    z, product = z0, np.eye(5)
    for _ in range(3):
        product, z = jacobian(z) @ product, step(z)
    np.testing.assert_allclose(runs.z, z, rtol=0, atol=1e-14)
    np.testing.assert_allclose(runs.frame.mT @ runs.frame, np.tile(np.eye(5), (3, 1, 1)), rtol=0, atol=1e-14)
    np.testing.assert_allclose(np.abs(runs.frame), np.abs(np.linalg.qr(product)[0]), rtol=0, atol=1e-9)


def test_a_linear_map_has_the_logarithms_of_its_eigenvalues() -> None:
    cell = ALRNN(latent=3, rectified=0)
    basis = np.random.default_rng(3).standard_normal((3, 3))
    matrix = basis @ np.diag([0.95, 0.8, -0.2]) @ np.linalg.inv(basis)
    params = {"A": np.zeros(3), "W": matrix, "h": np.ones(3)}
    found = cell_spectrum(cell, params, starts(cell), steps=500, burn_in=200)
    assert found.exponents == pytest.approx(np.log([0.95, 0.8, 0.2]), abs=1e-9)


@pytest.mark.parametrize("every", [1, None])
def test_a_direction_that_is_flattened_has_minus_infinity_and_no_nan(every: int | None) -> None:
    cell = ALRNN(latent=3, rectified=1)
    params = {"A": np.array([0.5, 0.0, 0.3]), "W": np.zeros((3, 3)), "h": np.zeros(3)}
    found = cell_spectrum(cell, params, starts(cell), steps=100, burn_in=5, every=every)
    same(found, in_numpy(cell, params, starts(cell), steps=100, burn_in=5, every=every))
    assert found.exponents is not None and found.error is not None
    assert found.exponents.tolist() == [pytest.approx(math.log(0.5)), pytest.approx(math.log(0.3)), -math.inf]
    assert np.isfinite(found.error).all()


@pytest.mark.parametrize("share", [1e-12, 1e12])
def test_stretches_far_beyond_the_range_of_a_number(share: float) -> None:
    """A thousand steps of a factor 1e-12 or 1e12 leave no number; their logarithm is one."""
    cell = ALRNN(latent=2, rectified=0)
    params = {"A": np.array([share, 0.5]), "W": np.zeros((2, 2)), "h": np.zeros(2)}
    found = cell_spectrum(cell, params, np.array([[0.0, 1.0]]), steps=1000, burn_in=0, every=3)
    assert found.exponents == pytest.approx(sorted([math.log(share), math.log(0.5)], reverse=True), rel=1e-13)


def test_frames_whose_squares_are_no_numbers_are_made_orthonormal() -> None:
    cell = ALRNN(latent=3, rectified=0)
    for share in (1e-180, 1e180):
        matrix = share * np.random.default_rng(2).standard_normal((3, 3))
        params = {"A": np.zeros(3), "W": matrix, "h": np.zeros(3)}
        words: dict[str, Any] = {"steps": 5, "burn_in": 0, "every": 1}
        same(cell_spectrum(cell, params, np.zeros((1, 3)), **words), in_numpy(cell, params, np.zeros((1, 3)), **words))


def test_runs_that_escape_and_runs_that_rest_are_told_apart_as_in_numpy() -> None:
    """z' = z / 2 + 2 max(0, z - 1) + 0.1 rests at 0.2 from below 1.27 and runs away from above."""
    cell = ShPLRNN(latent=1, hidden=1)
    one = np.ones((1, 1))
    params = {"A": np.array([0.5]), "W1": 2 * one, "W2": one, "h1": np.array([0.1]), "h2": np.array([-1.0])}
    z0 = np.array([[0.0], [1.2], [1.5], [np.nan], [-3.0], [1.27]])
    found = cell_spectrum(cell, params, z0, steps=200, burn_in=50)
    same(found, in_numpy(cell, params, z0, steps=200, burn_in=50))
    assert (found.escaped, found.rested) == (3, 3)
    assert found.doubt == "3 of 6 runs came to rest at a fixed point and 3 of 6 runs left all bounds"
    assert found.exponents == pytest.approx([math.log(0.5)], abs=1e-12)


def test_where_all_runs_escape_there_is_a_reason_and_no_number() -> None:
    cell = PLRNN(latent=4)
    params = parameters(cell) | {"A": np.full(4, 3.0)}
    found = cell_spectrum(cell, params, starts(cell), steps=300)
    same(found, in_numpy(cell, params, starts(cell), steps=300))
    assert found.exponents is None and found.escaped == 3


@pytest.mark.parametrize("cell", of_size(4), ids=repr)
def test_weights_that_are_no_numbers_spoil_no_run_but_count_as_escaped(cell: Cell) -> None:
    params = parameters(cell)
    params["W2" if "W2" in params else "W"][0, 1] = np.nan
    found = cell_spectrum(cell, params, starts(cell), steps=30, burn_in=0)
    assert (found.escaped, found.exponents) == (3, None)


def test_a_run_that_escapes_leaves_the_next_one_alone() -> None:
    cell, params = turning(2, 20)
    z0 = starts(cell, 3)
    alone = cell_spectrum(cell, params, z0[2:], steps=40, burn_in=0, every=2)
    z0[1] = 1e20
    walked = walk(free_equations(cell), params, z0, LIMIT)
    assert walked is not None
    rates = walked.go(40, 2) / 40
    assert walked.inside.tolist() == [True, False, True]
    np.testing.assert_array_equal(-np.sort(-rates[2]), alone.by_start[0])


def test_a_frame_that_overflows_counts_as_escaped_as_in_numpy() -> None:
    cell = ALRNN(latent=2, rectified=0)
    params = {"A": np.full(2, 1e200), "W": np.zeros((2, 2)), "h": np.zeros(2)}
    words: dict[str, Any] = {"steps": 10, "burn_in": 0, "every": 5}
    found = cell_spectrum(cell, params, np.zeros((2, 2)), **words)
    same(found, in_numpy(cell, params, np.zeros((2, 2)), **words))
    assert found.escaped == 2


def test_a_walk_of_no_steps_changes_nothing() -> None:
    cell = LSTM(latent=2)
    runs = walk(free_equations(cell), parameters(cell), starts(cell), LIMIT)
    assert runs is not None
    np.testing.assert_array_equal(runs.go(0, 1), np.zeros((3, 4)))
    np.testing.assert_array_equal(runs.z, starts(cell))
    np.testing.assert_array_equal(runs.frame, np.tile(np.eye(4), (3, 1, 1)))


def test_a_cell_without_native_loop_is_done_in_numpy() -> None:
    cell = LEM(latent=2)
    params = parameters(cell)
    assert walk(free_equations(cell), params, starts(cell), LIMIT) is None
    same(cell_spectrum(cell, params, starts(cell), steps=40), in_numpy(cell, params, starts(cell), steps=40), 0)


def test_misuse_is_an_error_as_in_numpy() -> None:
    cell = ClippedShPLRNN(latent=2, hidden=5)
    params = parameters(cell)
    for words in ({"steps": 0}, {"burn_in": -1}, {"every": 0}):
        with pytest.raises(Inconsistent):
            cell_spectrum(cell, params, starts(cell), **words)
    for z0 in (np.zeros(2), np.zeros((0, 2))):
        with pytest.raises(BadShape):
            cell_spectrum(cell, params, z0)
    with pytest.raises(ValueError, match="z0 must be"):
        cell_spectrum(cell, params, np.zeros((1, 3)))
