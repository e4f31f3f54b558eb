"""Native free runs against those in numpy: every kind, CPU level and size, driven or not, and what is not finite."""

import numpy as np
import pytest

from chaos_core.cells.alrnn import ALRNN
from chaos_core.cells.base import Cell
from chaos_core.cells.dendplrnn import DendPLRNN
from chaos_core.cells.gru import GRU
from chaos_core.cells.lem import LEM
from chaos_core.cells.lstm import LSTM
from chaos_core.cells.rnn import RNN
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.equations import free_equations
from chaos_core.native import Library, orbit
from chaos_core.observation import LinearObservation
from chaos_core.orbits import forecasts, orbits
from chaos_core.run import free_run, predict_ahead
from chaos_core.typing import Floats
from tests.core.native_cells import CELLS, of_size, parameters, starts

pytestmark = pytest.mark.native

STEPS = 30


def drive(count: int, steps: int) -> Floats:
    return np.random.default_rng(4).standard_normal((count, steps, 2))


def close(ours: Floats | None, wanted: Floats, tolerance: float = 1e-12) -> None:
    assert ours is not None
    assert (ours.dtype, ours.shape) == (np.float64, wanted.shape)
    assert np.isfinite(wanted).all()
    np.testing.assert_allclose(ours, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max())


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_a_native_free_run_equals_the_one_in_numpy(cell: Cell, kernels: Library) -> None:
    params, z0 = parameters(cell), starts(cell)
    ours = orbit(free_equations(cell), params, z0, STEPS, kernels=kernels)
    close(ours, free_run(cell, params, z0, STEPS))


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_a_driven_native_free_run_equals_the_one_in_numpy(cell: Cell, kernels: Library) -> None:
    params, z0, u = parameters(cell), starts(cell), drive(3, STEPS)
    s = u @ params["C"].T
    ours = orbit(free_equations(cell), params, z0, STEPS, s, kernels=kernels)
    close(ours, free_run(cell, params, z0, STEPS, u))


@pytest.mark.parametrize("cell", of_size(7), ids=repr)
def test_a_long_run_that_does_not_grow_stays_with_the_one_in_numpy(cell: Cell) -> None:
    params = {name: 0.4 * value for name, value in parameters(cell).items()}
    z0, u = starts(cell), drive(3, 400)
    close(orbits(cell, params, z0, 400, u), free_run(cell, params, z0, 400, u))


@pytest.mark.parametrize("cell", of_size(5), ids=repr)
def test_runs_side_by_side_are_those_of_each_alone(cell: Cell) -> None:
    params, z0, u = parameters(cell), starts(cell), drive(3, STEPS)
    together = orbits(cell, params, z0, STEPS, u)
    for k in range(3):
        np.testing.assert_array_equal(together[k : k + 1], orbits(cell, params, z0[k : k + 1], STEPS, u[k : k + 1]))


def test_inputs_beyond_the_last_step_are_left_out() -> None:
    cell = GRU(latent=3, inputs=2)
    params, z0, u = parameters(cell), starts(cell), drive(3, 20)
    np.testing.assert_array_equal(orbits(cell, params, z0, 8, u), orbits(cell, params, z0, 8, u[:, :8]))


@pytest.mark.parametrize("cell", of_size(3), ids=repr)
def test_a_single_start_and_weights_in_single_precision(cell: Cell) -> None:
    params = {name: value.astype(np.float32) for name, value in parameters(cell).items()}
    ours = orbit(free_equations(cell), params, starts(cell)[0], STEPS)
    close(ours, free_run(cell, params, starts(cell)[0], STEPS))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("cell", of_size(5), ids=repr)
def test_a_value_that_is_not_finite_stays_visible_as_in_numpy(cell: Cell, bad: float, kernels: Library) -> None:
    params, z0 = parameters(cell), starts(cell)
    z0[1, 2] = bad
    ours = orbit(free_equations(cell), params, z0, 5, kernels=kernels)
    wanted = free_run(cell, params, z0, 5)
    assert ours is not None
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(wanted))
    np.testing.assert_array_equal(np.isinf(ours), np.isinf(wanted))
    close(ours[[0, 2]], wanted[[0, 2]])


@pytest.mark.parametrize("cell", of_size(5), ids=repr)
def test_nan_in_a_drive_is_seen_from_its_step_on(cell: Cell) -> None:
    params, u = parameters(cell), drive(1, 10)
    u[0, 4] = np.nan
    ours = orbits(cell, params, starts(cell, 1), 10, u)
    assert np.isfinite(ours[0, :4]).all()
    assert np.isnan(ours[0, 4:]).all()


@pytest.mark.parametrize("size", [1e-200, 1e5, 1e150])
@pytest.mark.parametrize("cell", of_size(5), ids=repr)
def test_states_of_any_size(cell: Cell, size: float) -> None:
    params, z0 = parameters(cell), size * starts(cell)
    close(orbits(cell, params, z0, 5), free_run(cell, params, z0, 5))


def test_tanh_is_right_to_the_last_bits(kernels: Library) -> None:
    """z' = tanh(0 z + s) is the function itself."""
    x = np.concatenate([np.linspace(-25, 25, 20_001), np.geomspace(1e-300, 1e300, 2001), [0.0, -0.0, np.inf, -np.inf]])
    ours = orbit(
        free_equations(RNN(latent=1)),
        {"W": np.zeros((1, 1)), "b": np.zeros(1)},
        np.zeros(1),
        len(x),
        x[:, None],
        kernels=kernels,
    )
    assert ours is not None
    np.testing.assert_allclose(ours[:, 0], np.tanh(x), rtol=5e-16, atol=0)


def test_the_logistic_function_is_right_to_the_last_bits(kernels: Library) -> None:
    """With z = 1 and n = 0 a GRU's z' is the gate q."""
    x = np.concatenate([np.linspace(-700, 700, 20_001), np.linspace(-3, 3, 2001), [1e300, -1e300, np.inf, -np.inf]])
    params = {"W": np.zeros((3, 1)), "b": np.zeros(3), "c": np.zeros(1)}
    s = np.zeros((len(x), 1, 3))
    s[:, 0, 1] = x
    ours = orbit(free_equations(GRU(latent=1)), params, np.ones((len(x), 1)), 1, s, kernels=kernels)
    with np.errstate(over="ignore"):
        wanted = 1 / (1 + np.exp(-x))
    assert ours is not None
    np.testing.assert_allclose(ours[:, 0, 0], wanted, rtol=8e-16, atol=1e-300)


def test_a_smoothing_too_small_to_square_is_the_rectifier() -> None:
    cell = ClippedShPLRNN(latent=3, hidden=10, smoothing=1e-200)
    sharp = ClippedShPLRNN(latent=3, hidden=10)
    params = parameters(cell)
    np.testing.assert_array_equal(orbits(cell, params, starts(cell), 9), orbits(sharp, params, starts(cell), 9))


def test_an_alrnn_uses_the_diagonal_of_w_and_a_dendplrnn_does_not() -> None:
    for cell, equal in ((ALRNN(latent=4, rectified=2), False), (DendPLRNN(latent=4, bases=3), True)):
        params = parameters(cell)
        other = params | {"W": params["W"] + np.eye(4)}
        same = np.array_equal(orbits(cell, params, starts(cell), 9), orbits(cell, other, starts(cell), 9))
        assert same is equal


def test_the_state_of_an_lstm_has_a_memory_and_runs_of_other_sizes_are_refused() -> None:
    cell = LSTM(latent=4)
    ours = orbit(free_equations(cell), parameters(cell), starts(cell), 5)
    assert ours is not None and ours.shape == (3, 5, 8)
    with pytest.raises(ValueError, match=r"z0 must be \(K, 8\)"):
        orbit(free_equations(cell), parameters(cell), np.zeros(4), 5)


@pytest.mark.parametrize("shape", [(5, 3), (4, 9), (3, 5, 9), (9,)])
def test_a_drive_of_the_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"s must be \(5, 9\)"):
        orbit(free_equations(GRU(latent=3)), parameters(GRU(latent=3)), np.zeros(3), 5, np.zeros(shape))


@pytest.mark.parametrize("name", ["W", "b"])
def test_a_parameter_of_the_wrong_shape_is_refused(name: str) -> None:
    params = parameters(RNN(latent=3))
    for wrong in (np.zeros(()), np.zeros((2, 3)), np.zeros((0, 0)), np.zeros(5)):
        with pytest.raises(ValueError, match="parameter"):
            orbit(free_equations(RNN(latent=3)), params | {name: wrong}, np.zeros(3), 5)


def test_a_free_run_that_leaves_all_bounds_shows_inf_and_then_nan() -> None:
    cell = ClippedShPLRNN(latent=3, hidden=10)
    ours = orbit(free_equations(cell), parameters(cell) | {"A": np.full(3, 1e100)}, np.ones((1, 3)), 20)
    assert ours is not None
    assert np.isinf(ours).any()
    assert np.isnan(ours[0, -1]).all()


def test_a_free_run_of_no_steps_is_empty() -> None:
    cell = GRU(latent=3)
    ours = orbit(free_equations(cell), parameters(cell), np.ones((2, 3)), 0)
    assert ours is not None
    assert ours.shape == (2, 0, 3)


def test_a_kind_without_native_loop_is_left_to_numpy() -> None:
    assert orbit(free_equations(LEM(latent=3)), {}, np.ones(6), 5) is None


@pytest.mark.parametrize(("z0", "steps"), [(np.ones(4), 5), (np.ones((1, 1, 3)), 5), (np.ones(3), -1)])
def test_a_start_or_a_length_that_cannot_be_is_refused(z0: Floats, steps: int) -> None:
    cell = GRU(latent=3)
    with pytest.raises(ValueError, match="z0 must be"):
        orbit(free_equations(cell), parameters(cell), z0, steps)


@pytest.mark.parametrize("driven", [False, True], ids=["undriven", "driven"])
@pytest.mark.parametrize("cell", of_size(5), ids=repr)
def test_forecasts_from_every_row_equal_those_in_numpy(
    cell: Cell, driven: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaos_core.orbits.NUMBERS_AT_ONCE", 100)
    rng, observation = np.random.default_rng(7), LinearObservation()
    params = parameters(cell) | {"B": rng.standard_normal((3, 5))}
    x, u = rng.standard_normal((40, 3)), rng.standard_normal((40, 2)) if driven else None
    ours = forecasts(cell, observation, params, x, 6, u)
    close(ours, predict_ahead(cell, observation, params, x, 6, u))
    assert forecasts(cell, observation, params, x[:6], 6, None if u is None else u[:6]).shape == (0, 3)
