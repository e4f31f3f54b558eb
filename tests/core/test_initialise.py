import numpy as np
import pytest

from chaos_core.initialise import INITIALISERS, draw
from chaos_core.typing import Param


def one(init: str, shape: tuple[int, ...], scale: float = 0.0, seed: int = 0) -> np.ndarray:
    return draw({"w": Param(shape, init, scale)}, np.random.default_rng(seed))["w"]


def test_zeros_are_zero() -> None:
    assert not one("zeros", (3, 2)).any()


def test_uniform_numbers_fill_the_interval_evenly() -> None:
    """Mean 0 and variance scale^2 / 3."""
    drawn = one("uniform", (400, 400), 0.5)
    assert np.abs(drawn).max() <= 0.5
    assert drawn.mean() == pytest.approx(0.0, abs=0.005)
    assert drawn.var() == pytest.approx(0.25 / 3, rel=0.02)


def test_normal_numbers_have_the_wanted_deviation() -> None:
    drawn = one("normal", (400, 400), 0.5)
    assert drawn.mean() == pytest.approx(0.0, abs=0.01)
    assert drawn.std() == pytest.approx(0.5, rel=0.02)


def test_off_diagonal_means_zeros_on_the_diagonal_and_nowhere_else() -> None:
    drawn = one("uniform_off_diagonal", (6, 6), 0.5)
    assert not np.diag(drawn).any()
    assert np.count_nonzero(drawn) == 30


@pytest.mark.parametrize("units", [1, 3, 50])
def test_talathi_vartak_remembers_without_growing(units: int) -> None:
    """All entries lie in (0, 1]: no diagonal entry of a positive definite matrix is above its largest eigenvalue."""
    drawn = one("talathi_vartak", (units,))
    assert drawn.shape == (units,)
    assert (drawn > 0).all()
    assert (drawn <= 1 + 1e-12).all()


def test_talathi_vartak_is_the_scaled_diagonal_by_definition() -> None:
    r = np.random.default_rng(5).standard_normal((4, 4))
    k = np.eye(4) + r.T @ r / 4
    np.testing.assert_allclose(one("talathi_vartak", (4,), seed=5), np.diag(k) / np.abs(np.linalg.eigvals(k)).max())


@pytest.mark.parametrize("init", sorted(INITIALISERS))
def test_the_same_seed_draws_the_same_numbers(init: str) -> None:
    shape = (4,) if init == "talathi_vartak" else (4, 4)
    np.testing.assert_array_equal(one(init, shape, 1.0), one(init, shape, 1.0))
    assert one(init, shape, 1.0).dtype == np.float64


def test_parameters_are_drawn_one_after_the_other() -> None:
    rng = np.random.default_rng(0)
    drawn = draw({"a": Param((2,), "uniform", 1.0), "b": Param((3,), "uniform", 1.0)}, rng)
    np.testing.assert_array_equal(np.concatenate(list(drawn.values())), np.random.default_rng(0).uniform(-1, 1, 5))
