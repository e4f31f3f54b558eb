"""Each cell against an independent implementation: torch.nn, or the published equation written out in loops."""

import numpy as np
import pytest
import torch

from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.cells import Cell
from chaos_core.cells.alrnn import ALRNN
from chaos_core.cells.dendplrnn import ClippedDendPLRNN, DendPLRNN
from chaos_core.cells.gru import GRU
from chaos_core.cells.lem import LEM
from chaos_core.cells.lstm import LSTM
from chaos_core.cells.plrnn import MeanCentredPLRNN
from chaos_core.cells.rnn import RNN
from chaos_core.cells.shplrnn import ClippedShPLRNN, ShPLRNN
from chaos_core.initialise import draw

Params = dict[str, np.ndarray]


def drawn(cell: Cell, seed: int = 0) -> tuple[Params, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = {name: value + 0.2 * rng.standard_normal(value.shape) for name, value in draw(cell.parameters(), rng).items()}
    return p, rng.standard_normal((6, cell.state_size))


def ours(cell: Cell, p: Params, z: np.ndarray) -> np.ndarray:
    return as_numpy(cell.step(as_arrays(p), as_array(z)))


def relu(v: float) -> float:
    return v if v > 0 else 0.0


def off_diagonal(w: np.ndarray) -> np.ndarray:
    return w * (1 - np.eye(len(w)))


@pytest.mark.parametrize("clipped", [False, True])
@pytest.mark.parametrize("centred", [False, True])
def test_a_dendritic_unit_adds_its_branches_one_by_one(clipped: bool, centred: bool) -> None:
    """Brenner et al. (2022), equations 2 to 4."""
    kind = ClippedDendPLRNN if clipped else DendPLRNN
    cell = kind(latent=4, bases=5, centred=centred)
    p, z = drawn(cell)
    expected = np.empty_like(z)
    for row, state in enumerate(z):
        inner = state - state.mean() if centred else state
        branch = [
            sum(
                p["alpha"][b] * (relu(inner[m] - p["H"][m, b]) - (relu(inner[m]) if clipped else 0.0)) for b in range(5)
            )
            for m in range(4)
        ]
        expected[row] = p["A"] * state + off_diagonal(p["W"]) @ branch + p["h"]
    np.testing.assert_allclose(ours(cell, p, z), expected, rtol=0, atol=1e-14)


def test_the_mean_centred_plrnn_is_the_plrnn_on_states_without_their_mean() -> None:
    cell = MeanCentredPLRNN(latent=5)
    p, z = drawn(cell)
    w = off_diagonal(p["W"])
    expected = [p["A"] * s + w @ [relu(v - s.mean()) for v in s] + p["h"] for s in z]
    np.testing.assert_allclose(ours(cell, p, z), expected, rtol=0, atol=1e-14)


def test_a_shallow_plrnn_is_one_hidden_layer_beside_a_diagonal() -> None:
    cell = ShPLRNN(latent=3, hidden=7)
    p, z = drawn(cell)
    expected = [p["A"] * s + p["W1"] @ [relu(u) for u in p["W2"] @ s + p["h2"]] + p["h1"] for s in z]
    np.testing.assert_allclose(ours(cell, p, z), expected, rtol=0, atol=1e-14)


def test_the_smooth_unit_is_squareplus_and_tends_to_the_rectifier() -> None:
    smooth = ClippedShPLRNN(latent=3, hidden=7, smoothing=0.4)
    p, z = drawn(smooth)

    def phi(v: np.ndarray) -> np.ndarray:
        return (v + np.sqrt(v**2 + 0.4**2)) / 2

    u = z @ p["W2"].T
    expected = p["A"] * z + (phi(u + p["h2"]) - phi(u)) @ p["W1"].T + p["h1"]
    np.testing.assert_allclose(ours(smooth, p, z), expected, rtol=0, atol=1e-14)
    narrow, sharp = ClippedShPLRNN(latent=3, hidden=7, smoothing=1e-7), ClippedShPLRNN(latent=3, hidden=7)
    np.testing.assert_allclose(ours(narrow, p, z), ours(sharp, p, z), rtol=0, atol=1e-6)


def test_the_almost_linear_network_rectifies_its_last_units_only() -> None:
    """Brenner et al. (2024), equation 2."""
    cell = ALRNN(latent=5, rectified=2)
    p, z = drawn(cell)
    expected = [p["A"] * s + p["W"] @ [*s[:3], relu(s[3]), relu(s[4])] + p["h"] for s in z]
    np.testing.assert_allclose(ours(cell, p, z), expected, rtol=0, atol=1e-14)


def test_with_all_units_linear_the_almost_linear_network_is_linear() -> None:
    cell = ALRNN(latent=4, rectified=0)
    p, z = drawn(cell)
    np.testing.assert_allclose(ours(cell, p, z), z @ (np.diag(p["A"]) + p["W"]).T + p["h"], rtol=0, atol=1e-14)


def by_torch(module: torch.nn.RNNCellBase, weights: dict[str, np.ndarray], state: object) -> object:
    with torch.no_grad():
        for name, value in weights.items():
            getattr(module, name).copy_(torch.tensor(value))
        return module(torch.zeros(6, 1, dtype=torch.float64), state)


def zero_inputs(rows: int) -> Params:
    return {"weight_ih": np.zeros((rows, 1)), "bias_hh": np.zeros(rows)}


def test_the_vanilla_network_is_the_one_of_torch() -> None:
    cell = RNN(latent=4)
    p, z = drawn(cell)
    weights = {**zero_inputs(4), "weight_hh": p["W"], "bias_ih": p["b"]}
    expected = by_torch(torch.nn.RNNCell(1, 4, dtype=torch.float64), weights, torch.tensor(z))
    np.testing.assert_allclose(ours(cell, p, z), expected, rtol=0, atol=1e-14)


def test_the_lstm_is_the_one_of_torch_with_its_memory_behind_the_output() -> None:
    cell = LSTM(latent=4)
    p, z = drawn(cell)
    weights = {**zero_inputs(16), "weight_hh": p["W"], "bias_ih": p["b"]}
    state = torch.tensor(z[:, :4]), torch.tensor(z[:, 4:])
    h, c = by_torch(torch.nn.LSTMCell(1, 4, dtype=torch.float64), weights, state)
    np.testing.assert_allclose(ours(cell, p, z), np.concatenate([h, c], axis=1), rtol=0, atol=1e-14)


def test_the_gru_is_the_one_of_torch() -> None:
    cell = GRU(latent=4)
    p, z = drawn(cell)
    weights = {**zero_inputs(12), "weight_hh": p["W"], "bias_ih": p["b"]}
    weights["bias_hh"][8:] = p["c"]
    expected = by_torch(torch.nn.GRUCell(1, 4, dtype=torch.float64), weights, torch.tensor(z))
    np.testing.assert_allclose(ours(cell, p, z), expected, rtol=0, atol=1e-14)


def test_the_long_expressive_memory_takes_its_two_steps_one_after_the_other() -> None:
    """Rusch et al. (2022), equation 3, without inputs."""
    cell = LEM(latent=3, dt=0.7)
    p, state = drawn(cell)
    w, b = p["W"].reshape(4, 3, 3), p["b"].reshape(4, 3)
    expected = np.empty_like(state)
    for row, (y, v) in enumerate(zip(state[:, :3], state[:, 3:], strict=True)):
        first, second = (0.7 / (1 + np.exp(-(w[i] @ y + b[i]))) for i in (0, 1))
        v_after = (1 - first) * v + first * np.tanh(w[2] @ y + b[2])
        y_after = (1 - second) * y + second * np.tanh(w[3] @ v_after + b[3])
        expected[row] = [*y_after, *v_after]
    np.testing.assert_allclose(ours(cell, p, state), expected, rtol=0, atol=1e-14)


def test_memory_and_coupling_of_a_dendritic_cell_split_one_matrix_of_spectral_radius_one() -> None:
    start = draw(DendPLRNN(latent=6, bases=3).parameters(), np.random.default_rng(2), (-2.0, 5.0))
    whole = np.diag(start["A"]) + start["W"]
    np.testing.assert_allclose(whole, whole.T, rtol=0, atol=1e-15)
    assert np.linalg.eigvalsh(whole)[-1] == pytest.approx(1.0, abs=1e-12)
    assert start["H"].min() >= -2.0 and start["H"].max() <= 5.0
    assert np.ptp(start["H"]) > 3.0
