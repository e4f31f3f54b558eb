import numpy as np
import pytest
import torch

from chaos_core.cells import CELLS
from chaos_core.cells.plrnn import PLRNN
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.initialise import draw
from chaos_core.observation import IdentityObservation, LinearObservation
from chaos_core.run import free_run, predict_ahead

ROTATION = 0.1


def rotation() -> dict[str, np.ndarray]:
    """Turns (u, v) by 0.1 a step: four units (u, -u, v, -v), so that u = relu(u) - relu(-u) can act on the others."""
    c, s = np.cos(ROTATION), np.sin(ROTATION)
    w = np.kron(np.array([[0.0, -s], [s, 0.0]]), np.array([[1.0, -1.0], [-1.0, 1.0]]))
    return {"A": np.full(4, c), "W": w, "h": np.zeros(4)}


def by_hand(p: dict[str, np.ndarray], z: np.ndarray, steps: int) -> np.ndarray:
    states = []
    for _ in range(steps):
        u = p["W2"] @ z
        z = p["A"] * z + p["W1"] @ (np.maximum(u + p["h2"], 0) - np.maximum(u, 0)) + p["h1"]
        states.append(z)
    return np.array(states)


def test_a_linear_cell_runs_along_its_eigenvalues() -> None:
    p = {"A": np.array([0.99, -0.5]), "W": np.zeros((2, 2)), "h": np.zeros(2)}
    z = free_run(PLRNN(latent=2), p, [1.0, 2.0], 100)
    np.testing.assert_allclose(z, [1.0, 2.0] * p["A"] ** np.arange(1, 101)[:, None], rtol=1e-12)


def test_a_run_ends_in_the_fixed_point_of_a_contraction() -> None:
    """z = h / (1 - a)."""
    p = {"A": np.array([0.5, 0.2]), "W": np.zeros((2, 2)), "h": np.array([1.0, -4.0])}
    np.testing.assert_allclose(free_run(PLRNN(latent=2), p, np.zeros(2), 200)[-1], [2.0, -5.0], rtol=1e-14)


def test_the_clipped_shplrnn_is_the_loop_one_would_write_by_hand() -> None:
    cell = ClippedShPLRNN(latent=3, hidden=20)
    p = draw(cell.parameters(), np.random.default_rng(0))
    z0 = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(free_run(cell, p, z0, 50), by_hand(p, z0, 50), rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", sorted(CELLS))
def test_row_zero_is_the_first_step_after_the_start(kind: str) -> None:
    cell = CELLS[kind].fill({"latent": 4}, observed=4, embedded=False)
    p = draw(cell.parameters(), np.random.default_rng(0))
    z0 = np.random.default_rng(1).standard_normal(cell.state_size)
    first = cell.step({name: torch.tensor(value) for name, value in p.items()}, torch.tensor(z0))
    z = free_run(cell, p, z0, 5)
    assert z.shape == (5, cell.state_size)
    assert type(z) is np.ndarray
    np.testing.assert_allclose(z[0], first.numpy(), rtol=0, atol=1e-14)
    np.testing.assert_allclose(free_run(cell, p, z[1], 3), z[2:], rtol=0, atol=1e-12)


def test_runs_from_many_starts_equal_the_runs_one_by_one() -> None:
    cell = ClippedShPLRNN(latent=3, hidden=20)
    p = draw(cell.parameters(), np.random.default_rng(0))
    starts = np.random.default_rng(1).standard_normal((2, 5, 3))
    together = free_run(cell, p, starts, 40)
    assert together.shape == (2, 5, 40, 3)
    for place in np.ndindex(2, 5):
        np.testing.assert_allclose(together[place], free_run(cell, p, starts[place], 40), rtol=0, atol=1e-12)


def test_parameters_of_float32_are_run_in_float64_and_left_alone() -> None:
    cell = ClippedShPLRNN(latent=3, hidden=20)
    p = {name: value.astype(np.float32) for name, value in draw(cell.parameters(), np.random.default_rng(0)).items()}
    z = free_run(cell, p, np.ones(3, dtype=np.float32), 50)
    assert z.dtype == np.float64
    assert all(value.dtype == np.float32 and type(value) is np.ndarray for value in p.values())
    wide = {name: value.astype(np.float64) for name, value in p.items()}
    np.testing.assert_array_equal(z, free_run(cell, wide, np.ones(3), 50))


def test_an_orbit_that_escapes_stays_visible_and_warns_of_nothing() -> None:
    p = {"A": np.array([1e200, 0.5]), "W": np.zeros((2, 2)), "h": np.zeros(2)}
    z = free_run(PLRNN(latent=2), p, np.ones(2), 10)
    assert np.isfinite(z[0]).all()
    assert not np.isfinite(z[5, 0])


def test_no_steps_give_no_states() -> None:
    assert free_run(PLRNN(latent=4), rotation(), np.ones((3, 4)), 0).shape == (3, 0, 4)


def test_a_forecast_of_a_rotation_is_the_rotation() -> None:
    """x = (cos, sin) of 0.1 t; the inferred state is (x0, -x0, x1, -x1)."""
    read = {"B": np.array([[0.5, -0.5, 0.0, 0.0], [0.0, 0.0, 0.5, -0.5]])}
    phase = ROTATION * np.arange(100)
    x = np.stack([np.cos(phase), np.sin(phase)], axis=1)
    ahead = predict_ahead(PLRNN(latent=4), LinearObservation(), rotation() | read, x, 20)
    assert ahead.shape == (80, 2)
    assert type(ahead) is np.ndarray
    np.testing.assert_allclose(ahead, x[20:], rtol=0, atol=1e-12)


def test_a_rotation_keeps_turning_without_growing() -> None:
    z = free_run(PLRNN(latent=4), rotation(), [1.0, -1.0, 0.0, 0.0], 1000)
    np.testing.assert_allclose(z[:, 0], np.cos(ROTATION * np.arange(1, 1001)), rtol=0, atol=1e-11)


def test_a_forecast_is_the_free_run_from_each_row() -> None:
    cell = ClippedShPLRNN(latent=3, hidden=20)
    p = draw(cell.parameters(), np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((12, 3))
    ahead = predict_ahead(cell, IdentityObservation(), p, x, 5)
    np.testing.assert_array_equal(ahead, free_run(cell, p, x[:7], 5)[:, -1])


def test_a_forecast_longer_than_the_series_is_empty() -> None:
    cell = ClippedShPLRNN(latent=3, hidden=20)
    p = draw(cell.parameters(), np.random.default_rng(0))
    assert predict_ahead(cell, IdentityObservation(), p, np.ones((5, 3)), 5).shape == (0, 3)
