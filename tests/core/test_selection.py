import numpy as np

from chaos_core.cells.plrnn import PLRNN
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.embedding import Embedding
from chaos_core.observation import IdentityObservation
from chaos_core.selection import Fate, Judge, coordinates, fate_of, measured, settled

LOW, HIGH, SPREAD = np.array([-1.0, -1.0]), np.array([1.0, 1.0]), np.array([0.7, 0.7])
CIRCLE = np.stack([np.cos(0.1 * np.arange(3000)), np.sin(0.1 * np.arange(3000))], axis=1)


def judged(a: float) -> Fate:
    """z' = a z from four points of the unit circle."""
    params = {"A": np.full(2, a), "W1": np.zeros((2, 1)), "W2": np.ones((1, 2)), "h1": np.zeros(2), "h2": np.ones(1)}
    cell, observation = ClippedShPLRNN(latent=2, hidden=1), IdentityObservation()
    judge = Judge(cell, observation, Embedding(), CIRCLE[:4], 2, CIRCLE[:8], CIRCLE, (), 2000, 0.2, "dsr-v1")
    return judge.judge(params).fate


def test_a_run_inside_the_box_that_moves_is_living() -> None:
    assert fate_of(CIRCLE, LOW, HIGH, SPREAD) is Fate.LIVING


def test_a_run_beyond_ten_times_the_box_has_exploded() -> None:
    assert fate_of(9.9 * CIRCLE, LOW, HIGH, SPREAD) is Fate.LIVING
    assert fate_of(10.1 * CIRCLE, LOW, HIGH, SPREAD) is Fate.EXPLODED
    assert fate_of(np.where(CIRCLE > 0.99, np.nan, CIRCLE), LOW, HIGH, SPREAD) is Fate.EXPLODED


def test_a_run_that_stands_still_or_comes_to_rest_has_collapsed() -> None:
    assert fate_of(0.009 * CIRCLE, LOW, HIGH, SPREAD) is Fate.COLLAPSED
    damped = CIRCLE * np.exp(-np.arange(3000) / 300)[:, None]
    assert fate_of(damped, LOW, HIGH, SPREAD) is Fate.COLLAPSED


def test_a_run_that_shrinks_to_a_small_orbit_has_collapsed() -> None:
    assert fate_of(0.18 * CIRCLE, LOW, HIGH, SPREAD) is Fate.COLLAPSED
    assert fate_of(0.25 * CIRCLE, LOW, HIGH, SPREAD) is Fate.LIVING
    assert fate_of(0.18 * CIRCLE, LOW, HIGH, 0.5 * SPREAD) is Fate.LIVING


def test_a_channel_that_rests_while_another_moves_is_living() -> None:
    assert fate_of(CIRCLE * [1.0, 0.0], LOW, HIGH, SPREAD) is Fate.LIVING


def test_linear_maps_are_judged_by_their_factor() -> None:
    assert judged(0.99) is Fate.COLLAPSED
    assert judged(1.01) is Fate.EXPLODED
    assert judged(-1.0) is Fate.LIVING


def test_states_from_which_a_model_comes_nearly_to_rest_are_lost() -> None:
    """A rotation about (5, 5), where the rectifiers of a PLRNN never act, keeps radii; two of eight are small."""
    turn = np.array([[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]])
    params = {
        "A": np.diag(turn).copy(),
        "W": np.array([[0.0, turn[0, 1]], [turn[1, 0], 0.0]]),
        "h": 5.0 - turn @ np.full(2, 5.0),
    }
    circle = 5.0 + CIRCLE
    many = np.concatenate([circle[:6], 5.0 + 0.3 * CIRCLE[:2]])
    judge = Judge(
        PLRNN(latent=2), IdentityObservation(), Embedding(), circle[:4], 2, many, circle, (), 2000, 0.2, "dsr-v1"
    )
    assert judge.lost(params) == 0.25


def test_noise_is_added_only_where_the_preset_compares_like_with_like() -> None:
    noisy = measured(CIRCLE, (0.1, 0.0), "dsr-v1")
    assert abs((noisy - CIRCLE)[:, 0].std() - 0.1) < 0.01
    assert np.array_equal(noisy[:, 1], CIRCLE[:, 1])
    assert measured(CIRCLE, (0.1, 0.0), "gtf") is CIRCLE
    assert measured(CIRCLE, (0.0, 0.0), "dsr-v1") is CIRCLE


def test_delay_coordinates_are_compared_in_at_most_three_dimensions() -> None:
    x = np.arange(10.0)[:, None]
    assert coordinates(x, Embedding(dim=7, lag=1))[0].tolist() == [6.0, 5.0, 4.0]
    assert coordinates(CIRCLE, Embedding()) is CIRCLE


def test_the_transient_is_the_first_share_of_the_run() -> None:
    assert len(settled(CIRCLE, 0.2)) == 2400
