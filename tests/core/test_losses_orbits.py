"""Truth of the terms that let the cell run free: Lyapunov exponents of known maps, distances of known measures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from chaos_core import losses
from chaos_core.cells.lstm import LSTM
from chaos_core.cells.shplrnn import ShPLRNN
from chaos_core.errors import Inconsistent
from chaos_core.losses import AnyLossSpec
from chaos_core.losses.flossing import Flossing, growth
from chaos_core.losses.measure import BANDWIDTHS, InvariantMeasure, squared_mmd
from chaos_core.observation import LinearObservation
from tests.core.grounds import Scene, rows, scene

SPECS = TypeAdapter(AnyLossSpec)
MATRIX = np.array([[0.9, 0.4, 0.0], [-0.3, 0.7, 0.2], [0.0, 0.1, 0.3]])


def linear(*memory: float) -> Scene:
    """A PLRNN that only multiplies each unit by its A."""
    place = scene("plrnn", "identity")
    params = {"A": np.array(memory), "W": np.zeros((3, 3)), "h": np.zeros(3)}
    return replace(place, cell=place.cell.model_copy(update={"latent": 3}), params=params)


def test_growth_along_a_linear_map_gives_the_logarithms_of_its_eigenvalues() -> None:
    eigenvalues = np.sort(np.log(np.abs(np.linalg.eigvals(MATRIX))))[::-1]
    jacobians = torch.tensor(np.tile(MATRIX, (4000, 1, 1, 1)))
    start = torch.linalg.qr(torch.tensor(np.random.default_rng(0).standard_normal((1, 3, 3))))[0]
    _, settled = growth(jacobians[:2000], start, 1)
    logs, _ = growth(jacobians, settled, 4)
    assert logs.sum().item() / 4000 == pytest.approx(eigenvalues.sum(), rel=1e-12)
    np.testing.assert_allclose(logs[0].numpy() / 4000, eigenvalues, atol=1e-3)


def test_growth_along_a_map_with_real_eigenvalues_is_exact_once_directions_have_settled() -> None:
    """A triangular map: its exponents are the logarithms of its diagonal."""
    jacobians = torch.tensor(np.tile([[1.5, 0.4, -0.3], [0.0, -0.8, 0.7], [0.0, 0.0, 0.2]], (200, 1, 1, 1)))
    start = torch.linalg.qr(torch.tensor(np.random.default_rng(0).standard_normal((1, 3, 3))))[0]
    _, settled = growth(jacobians, start, 1)
    logs, _ = growth(jacobians[:20], settled, 1)
    np.testing.assert_allclose(logs[0].numpy() / 20, np.log([1.5, 0.8, 0.2]), rtol=1e-12)


@pytest.mark.parametrize("every", [1, 3, 7, 50])
def test_how_often_directions_are_made_orthogonal_does_not_change_the_sum(every: int) -> None:
    rng = np.random.default_rng(1)
    jacobians = torch.tensor(np.eye(4) + 0.2 * rng.standard_normal((50, 2, 4, 4)))
    start = torch.linalg.qr(torch.tensor(rng.standard_normal((2, 4, 2))))[0]
    torch.testing.assert_close(growth(jacobians, start, every)[0], growth(jacobians, start, 50)[0], rtol=1e-9, atol=0)


def test_flossing_of_a_linear_cell_is_the_squared_logarithm_of_its_largest_eigenvalue() -> None:
    """A (diagonal) and W = 0: lambda_1 = log 0.9, at any state."""
    place = linear(0.9, 0.5, -0.3)
    done = place.done(place.tensors())
    plain = Flossing(every=1, settle=200, steps=30).bind(place.ground())(done)
    assert plain.item() == pytest.approx(np.log(0.9) ** 2, rel=1e-12)
    three = Flossing(every=1, settle=200, steps=30, exponents=3).bind(place.ground())(place.done(place.tensors()))
    assert three.item() == pytest.approx(np.mean(np.log([0.9, 0.5, 0.3]) ** 2), rel=1e-9)


def test_the_target_form_vanishes_where_the_exponent_is_the_target() -> None:
    place = linear(1.1, 0.5, -0.3)
    exact, double = (
        Flossing(every=1, settle=100, steps=30, target=target).bind(place.ground())(place.done(place.tensors()))
        for target in (np.log(1.1), np.log(1.1) / 2)
    )
    assert exact.item() == pytest.approx(0.0, abs=1e-20)
    assert double.item() == pytest.approx(1.0, rel=1e-9)


def test_the_gradient_of_flossing_is_that_of_the_eigenvalue() -> None:
    """d (log A_1)^2 / d A_1 = 2 log(A_1) / A_1, and nothing for the other units."""
    place = linear(0.9, 0.5, -0.3)
    p = place.tensors()
    Flossing(every=1, settle=200, steps=30).bind(place.ground())(place.done(p)).backward()
    assert p["A"].grad is not None
    np.testing.assert_allclose(p["A"].grad.numpy(), [2 * np.log(0.9) / 0.9, 0, 0], rtol=1e-9, atol=1e-9)


def largest_exponent(place: Scene, p: dict[str, torch.Tensor], steps: int = 20_000) -> float:
    """By the textbook: one long orbit, one direction, normalised at each step, in numpy."""
    held = {name: value.detach() for name, value in p.items()}
    z = place.observation.infer(held, torch.tensor(rows()[:1]), place.cell.state_size)
    v, total, step = np.ones(place.cell.state_size), 0.0, place.cell.bind(held)
    for t in range(steps + 500):
        v = place.cell.jacobian(held, z)[0].numpy() @ v
        size = float(np.linalg.norm(v))
        v, z = v / size, step(z)
        total += np.log(size) if t >= 500 else 0.0
    return total / steps


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_steps_down_the_target_form_bring_a_long_orbit_s_exponent_to_the_target(seed: int) -> None:
    """From two cells that fall into a fixed point and one that is chaotic already."""
    place = scene("smooth", seed=seed)
    p = place.tensors()
    target, before = 0.05, largest_exponent(place, p, 2000)
    wanted = Flossing(every=1, target=target, settle=60, steps=40, orbits=16).bind(place.ground())
    walker, done = torch.optim.Adam(p.values(), 3e-3), place.done(p)
    for _ in range(300):
        walker.zero_grad()
        wanted(done).backward()
        walker.step()
    after = largest_exponent(place, p, 2000)
    assert abs(after - target) < 0.2 * abs(before - target), (before, after)


def test_flossing_acts_only_within_its_share_of_the_training_and_at_its_rate() -> None:
    place = linear(0.9, 0.5, -0.3)
    p, squared = place.tensors(), np.log(0.9) ** 2
    early = Flossing(every=1, settle=200, steps=10, start=0.2, until=0.5).bind(place.ground())
    assert [early(place.done(p, progress)).item() > 0 for progress in (0.1, 0.2, 0.49, 0.5)] == [
        False,
        True,
        True,
        False,
    ]
    seldom, done = Flossing(every=4, settle=200, steps=10).bind(place.ground()), place.done(p)
    found = np.array([seldom(done).item() for _ in range(400)])
    assert set(np.round(found / squared, 6)) == {0.0, 4.0}
    assert found.mean() == pytest.approx(squared, rel=0.3)


def test_orbits_that_overflow_are_left_out() -> None:
    place = linear(40.0, 0.5, -0.3)
    p = place.tensors()
    found = Flossing(every=1, settle=200, steps=10).bind(place.ground())(place.done(p))
    assert found.item() == 0.0


def test_auto_takes_target_and_length_from_the_data_s_exponent() -> None:
    auto = losses.fill(SPECS.validate_python({"kind": "flossing"}), lambda_max_per_step=0.01)
    assert isinstance(auto, Flossing)
    assert (auto.target, auto.steps, auto.settle, auto.weight, auto.until) == (0.01, 100, 100, 0.01, 1.0)
    plain = losses.fill(SPECS.validate_python({"kind": "flossing", "target": None}), lambda_max_per_step=None)
    assert isinstance(plain, Flossing)
    assert (plain.target, plain.weight, plain.until) == (None, 1.0, 0.1)
    with pytest.raises(Inconsistent, match="no positive exponent"):
        losses.fill(SPECS.validate_python({"kind": "flossing"}), lambda_max_per_step=None)


@pytest.mark.parametrize("words", [{"target": 0.1, "exponents": 2}, {"start": 0.5, "until": 0.5}, {"target": -0.1}])
def test_settings_of_flossing_that_contradict_each_other_are_refused(words: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Flossing.model_validate(words)


def test_a_spec_that_contradicts_itself_is_refused_when_it_is_filled() -> None:
    for words in ({"exponents": 2}, {"start": 0.5, "until": 0.5}):
        with pytest.raises(Inconsistent, match="the term 'flossing'"):
            losses.fill(SPECS.validate_python({"kind": "flossing", **words}), lambda_max_per_step=0.01)
    late = losses.fill(
        SPECS.validate_python({"kind": "flossing", "target": None, "start": 0.5}), lambda_max_per_step=None
    )
    assert isinstance(late, Flossing)
    assert late.until == 0.6


def test_more_exponents_than_numbers_in_the_state_are_refused() -> None:
    Flossing(exponents=8).check(LSTM(latent=4), LinearObservation())
    with pytest.raises(Inconsistent, match="wants 9 exponents of a state of 8 numbers"):
        Flossing(exponents=9).check(LSTM(latent=4), LinearObservation())


def mmd_by_loops(x: np.ndarray, y: np.ndarray) -> float:
    def kernel(u: np.ndarray, v: np.ndarray) -> float:
        return float(sum(a**2 / (a**2 + ((u - v) ** 2).sum()) for a in BANDWIDTHS))

    def apart(z: np.ndarray) -> float:
        return float(np.mean([kernel(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j]))

    return apart(x) + apart(y) - 2 * float(np.mean([kernel(u, v) for u in x for v in y]))


def test_the_measure_distance_equals_a_double_loop() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 13, 3)), 0.4 + rng.standard_normal((17, 3))
    found = squared_mmd(torch.tensor(x), torch.tensor(y), list(BANDWIDTHS))
    np.testing.assert_allclose(found.numpy(), [mmd_by_loops(one, y) for one in x], rtol=1e-12)


def test_the_measure_distance_of_equal_measures_is_zero_on_average_and_of_shifted_ones_is_not() -> None:
    rng = np.random.default_rng(1)
    x, y = (torch.tensor(rng.standard_normal((200, 40, 3))) for _ in range(2))
    equal = torch.stack([squared_mmd(a, b, list(BANDWIDTHS)) for a, b in zip(x, y, strict=True)])
    standard_error = equal.std() / 200**0.5
    assert abs(equal.mean()) < 3 * standard_error
    shifted = torch.stack([squared_mmd(a + 0.7, b, list(BANDWIDTHS)) for a, b in zip(x, y, strict=True)])
    assert shifted.mean() > 20 * standard_error


def turning(factor: float) -> Scene:
    """A cell that turns the first two coordinates by 0.37 and multiplies them by `factor`; the third stays."""
    c, d = factor * np.cos(0.37), factor * np.sin(0.37)
    off = np.array([[0.0, -d, 0.0], [d, 0.0, 0.0], [0.0, 0.0, 0.0]])
    params = {
        "A": np.array([c, c, 1.0]),
        "W1": np.hstack([off, -off]),
        "W2": np.vstack([np.eye(3), -np.eye(3)]),
        "h1": np.zeros(3),
        "h2": np.zeros(6),
    }
    return replace(scene("smooth", "identity"), cell=ShPLRNN(latent=3, hidden=6), params=params)


def mean_distance(place: Scene, seeds: int = 40, **settings: int) -> tuple[float, float]:
    """Mean and standard error of the term on a cylinder, which a pure turn maps onto itself."""
    angle, height = np.random.default_rng(0).uniform(0, 1, (2, 3000))
    cylinder = np.stack([np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle), height], axis=1)
    term = InvariantMeasure.model_validate(settings).bind(replace(place.ground(), x=cylinder))
    done = place.done(place.tensors())
    found = [term(done).item() for _ in range(seeds)]
    return float(np.mean(found)), float(np.std(found) / seeds**0.5)


def test_a_cell_that_keeps_the_data_s_measure_has_no_measure_distance_and_one_that_shrinks_it_has() -> None:
    kept, error = mean_distance(turning(1.0))
    assert abs(kept) < 3 * error
    assert mean_distance(turning(0.97))[0] > 20 * error


def test_runs_that_escape_start_again_and_the_distance_stays_finite() -> None:
    found, _ = mean_distance(turning(3.0), seeds=3, steps=700, through=5)
    assert 0 < found < 3 * len(BANDWIDTHS)


def test_kernels_widen_with_the_number_of_channels_as_distances_do() -> None:
    """Four copies of the same channels: all squared distances are four times as large, the distance the same."""
    rng = np.random.default_rng(2)
    x, y = torch.tensor(rng.standard_normal((20, 3))), torch.tensor(0.5 + rng.standard_normal((20, 3)))
    wide = [(12 / 3) ** 0.5 * a for a in BANDWIDTHS]
    torch.testing.assert_close(
        squared_mmd(x.repeat(1, 4), y.repeat(1, 4), wide), squared_mmd(x, y, list(BANDWIDTHS)), rtol=1e-12, atol=1e-12
    )


def test_auto_runs_as_long_as_the_data_need_to_forget_their_start() -> None:
    for exponent, steps in ((0.02, 150), (1.0, 10), (0.001, 300), (None, 20)):
        auto = losses.fill(SPECS.validate_python({"kind": "invariant_measure"}), lambda_max_per_step=exponent)
        assert isinstance(auto, InvariantMeasure)
        assert auto.steps == steps


def test_bandwidths_must_be_positive() -> None:
    with pytest.raises(ValidationError):
        InvariantMeasure(bandwidths=(0.5, 0.0))
