from dataclasses import replace

import numpy as np
import pytest

from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.embedding import Embedding
from chaos_core.errors import BadShape, NotFinite
from chaos_core.fitted import Fitted
from chaos_core.generation import free_latent, generate
from chaos_core.observation import IdentityObservation
from chaos_core.series import Scaling

HALVING = np.array([0.5, 0.25])


def decaying() -> Fitted:
    """z' = (z_1 / 2, z_2 / 4), so z_n = HALVING^n z_0 exactly."""
    params = {"A": HALVING, "W1": np.zeros((2, 1)), "W2": np.ones((1, 2)), "h1": np.zeros(2), "h2": np.ones(1)}
    scaling = Scaling((1.0, -2.0), (2.0, 4.0))
    start = np.array([1.0, 1.0])
    cell = ClippedShPLRNN(latent=2, hidden=1)
    return Fitted(cell, IdentityObservation(), params, scaling, Embedding(), None, ("u", "v"), start)


def shifting() -> Fitted:
    """Two delay coordinates (x_t, x_{t-1}) of one channel, z' = (z_1 + 1, z_2 + 1): the line x_t = t."""
    params = {"A": np.ones(2), "W1": np.zeros((2, 1)), "W2": np.ones((1, 2)), "h1": np.ones(2), "h2": np.ones(1)}
    cell, embedding = ClippedShPLRNN(latent=2, hidden=1), Embedding(dim=2, lag=1)
    scaling, start = Scaling((0.0,), (1.0,)), np.array([0.0, -1.0])
    return Fitted(cell, IdentityObservation(), params, scaling, embedding, None, ("x",), start)


def test_row_zero_is_the_first_step_after_the_start_in_data_units() -> None:
    x = generate(decaying(), 3, start=[3.0, 2.0])
    z = np.array([HALVING, HALVING**2, HALVING**3])
    np.testing.assert_allclose(x, z * [2.0, 4.0] + [1.0, -2.0], rtol=1e-15)


def test_without_a_start_the_stored_one_is_taken() -> None:
    assert np.array_equal(generate(decaying(), 5), generate(decaying(), 5, start=[3.0, 2.0]))
    np.testing.assert_allclose(free_latent(decaying(), 2), [HALVING, HALVING**2], rtol=1e-15)


def test_a_delay_embedded_model_starts_from_a_window_and_gives_its_newest_coordinate() -> None:
    expected = [[6.0], [7.0], [8.0]]
    assert generate(shifting(), 3, start=[[4.0], [5.0]]).tolist() == expected
    assert generate(shifting(), 3, start=[4.0, 5.0]).tolist() == expected
    assert generate(shifting(), 3, start=[1.0, 4.0, 5.0]).tolist() == expected


def test_no_steps_give_no_rows() -> None:
    assert generate(decaying(), 0).shape == (0, 2)


def test_a_start_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(BadShape):
        generate(decaying(), 3, start=[1.0, 2.0, 3.0])
    with pytest.raises(BadShape):
        generate(shifting(), 3, start=[5.0])
    with pytest.raises(NotFinite):
        generate(decaying(), 3, start=[1.0, np.nan])


def test_a_run_that_leaves_all_bounds_stays_visible() -> None:
    wild = replace(decaying(), params={**decaying().params, "A": np.array([3.0, 3.0])})
    x = generate(wild, 2000)
    assert np.isfinite(x[10]).all()
    assert not np.isfinite(x[-1]).any()
