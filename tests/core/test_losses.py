"""Truth of the terms that look at parameters, slopes and spectra: explicit loops, analytic values, other programs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from chaos_core import losses
from chaos_core.cells.lstm import LSTM
from chaos_core.cells.plrnn import PLRNN
from chaos_core.errors import Inconsistent
from chaos_core.losses import LOSSES
from chaos_core.losses.conditioning import Conditioning
from chaos_core.losses.jacobian import JacobianMatching, observed_jacobian
from chaos_core.losses.manifold import ManifoldAttractor
from chaos_core.losses.spectrum import PowerSpectrum
from chaos_core.observation import IdentityObservation
from tests.core.grounds import Scene, rows, scene

MATRICES = ("identity", "linear", "affine")


def value(term: losses.Loss, place: Scene, **done: object) -> float:
    p = place.tensors()
    return term.bind(place.ground())(replace(place.done(p), **done)).item()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("units", "chosen"), [("first", (0, 1)), ("last", (3, 4))])
def test_the_manifold_term_is_the_written_sum(units: str, chosen: tuple[int, ...], order: int) -> None:
    """M = 5, share 0.4: two units. The numbers of Mikhaeil et al. (first) and Brenner et al. (last)."""
    place = scene("plrnn")
    a, w, h = (place.params[name] for name in ("A", "W", "h"))
    total = 0.0
    for i in chosen:
        total += abs(1 - a[i]) ** order + abs(h[i]) ** order
        for j in range(5):
            total += abs(w[i, j]) ** order
    term = ManifoldAttractor.model_validate({"share": 0.4, "units": units, "order": order})
    assert value(term, place) == pytest.approx(total, rel=1e-12)


def test_the_manifold_term_of_hess_et_al_adds_norms_of_the_last_units() -> None:
    place = scene("plrnn")
    last = {name: place.params[name][3:] for name in ("A", "W", "h")}
    wanted = sum(np.sqrt((entry**2).sum()) for entry in (1 - last["A"], last["W"], last["h"]))
    term = ManifoldAttractor(share=0.4, form="norms")
    assert value(term, place) == pytest.approx(float(wanted), rel=1e-12)


@pytest.mark.parametrize("form", ["powers", "norms"])
def test_a_manifold_attractor_costs_nothing_and_pulls_nowhere(form: str) -> None:
    place = scene("plrnn")
    perfect = {"A": np.ones(5), "W": np.zeros((5, 5)), "h": np.zeros(5)}
    place = replace(place, params=place.params | perfect)
    p = place.tensors()
    found = ManifoldAttractor.model_validate({"form": form}).bind(place.ground())(place.done(p))
    found.backward()
    assert found.item() == 0.0
    assert all(p[name].grad is not None and not p[name].grad.any() for name in perfect)


def test_the_manifold_term_refuses_cells_without_its_parameters_before_a_training_begins() -> None:
    with pytest.raises(Inconsistent, match="'lstm' has no A and no h"):
        ManifoldAttractor().check(LSTM(latent=4), IdentityObservation())


def test_the_conditioning_term_is_the_squared_excess_of_the_condition_number() -> None:
    place = scene("lstm")
    number = np.linalg.cond(place.params["B"])
    assert value(Conditioning(), place) == pytest.approx((number - 1) ** 2, rel=1e-6)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 3)))[0].T
    turned = replace(place, params=place.params | {"B": 2.5 * rotation})
    assert value(Conditioning(), turned) == pytest.approx(0.0, abs=1e-14)


def test_steps_down_the_conditioning_term_bring_the_condition_number_to_one() -> None:
    place = scene("lstm")
    p = place.tensors()
    term, walker, done = Conditioning().bind(place.ground()), torch.optim.Adam([p["B"]], 0.01), place.done(p)
    for _ in range(300):
        walker.zero_grad()
        term(done).backward()
        walker.step()
    assert np.linalg.cond(p["B"].detach().numpy()) < 1.05


def test_conditioning_refuses_an_observation_without_a_matrix() -> None:
    with pytest.raises(Inconsistent, match="needs an observation with a matrix B"):
        Conditioning().check(PLRNN(latent=4), IdentityObservation())


@pytest.mark.parametrize("observation", MATRICES)
@pytest.mark.parametrize("name", ["smooth", "plrnn", "lstm", "gru", "lem", "alrnn"])
def test_the_observed_jacobian_is_the_derivative_of_the_observed_step(name: str, observation: str) -> None:
    """By automatic differentiation of predict(F(infer(x))), hidden units and memories included."""
    place = scene(name, observation)
    p = {key: torch.tensor(array) for key, array in place.params.items()}
    x = torch.tensor(rows()[100:110])

    def observed_step(one: torch.Tensor) -> torch.Tensor:
        z = place.observation.infer(p, one, place.cell.state_size)
        return place.observation.predict(p, place.cell.step(p, z), 3)

    wanted = torch.stack([torch.func.jacrev(observed_step)(one) for one in x])
    torch.testing.assert_close(observed_jacobian(place.cell, place.observation, p, x), wanted, rtol=0, atol=1e-12)


def test_matching_is_zero_for_the_cell_s_own_slopes_and_one_for_a_cell_that_stands_still() -> None:
    place = scene("smooth")
    p = {key: torch.tensor(array) for key, array in place.params.items()}
    points = rows()[:300]
    own = observed_jacobian(place.cell, place.observation, p, torch.tensor(points)).numpy()
    done = place.done(place.tensors())
    assert JacobianMatching().bind(place.ground(lambda: (points, own)))(done).item() == pytest.approx(0, abs=1e-25)
    still = scene("clipped_shplrnn")
    still = replace(still, params=still.params | {"A": np.ones(3), "W1": np.zeros((3, 8))})
    turned = np.tile(np.eye(3) + 0.3 * np.diag([1.0, -1.0, 0.5]), (300, 1, 1))
    found = JacobianMatching().bind(still.ground(lambda: (points, turned)))(still.done(still.tensors()))
    assert found.item() == pytest.approx(1.0, rel=1e-12)


def test_matching_is_the_written_mean_over_the_points_that_were_drawn() -> None:
    place = scene("clipped_shplrnn")
    points, slopes = rows()[:40], np.random.default_rng(3).standard_normal((40, 3, 3))
    found = JacobianMatching(points=5).bind(place.ground(lambda: (points, slopes)))(place.done(place.tensors(), seed=9))
    p = {key: torch.tensor(array) for key, array in place.params.items()}
    scale = np.mean([((slope - np.eye(3)) ** 2).sum() for slope in slopes])
    total = 0.0
    for i in np.random.default_rng(9).integers(0, 40, 5):
        own = place.cell.jacobian(p, torch.tensor(points[i])).numpy()
        total += ((own - slopes[i]) ** 2).sum() / scale / 5
    assert found.item() == pytest.approx(total, rel=1e-12)


def hellinger_of_windows(predicted: np.ndarray, true: np.ndarray, width: float) -> float:
    """The same distance, written with numpy's loops: window by window, frequency by frequency."""
    length, channels = true.shape[1:]
    taper = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    found, floors = [], []
    for x in (predicted, true):
        power = np.zeros((length // 2, channels))
        for window in x:
            for n in range(channels):
                change = (window[:, n] - window[:, n].mean()) * taper
                for k in range(1, length // 2 + 1):
                    wave = np.exp(-2j * np.pi * k * np.arange(length) / length)
                    power[k - 1, n] += abs((change * wave).sum()) ** 2 / len(x)
        floors.append(1e-6 * power.mean())
        weights = np.exp(-0.5 * ((np.arange(length // 2)[:, None] - np.arange(length // 2)) / width) ** 2)
        found.append(weights / weights.sum(axis=1, keepdims=True) @ power)
    p, q = ((power + floors[1]) / (power + floors[1]).sum(axis=0) for power in found)
    return float(1 - np.sqrt(p * q).sum(axis=0).mean())


def test_the_spectrum_term_equals_an_explicit_sum() -> None:
    place = scene("smooth")
    done = place.done(place.tensors())
    wanted = hellinger_of_windows(done.predicted.detach().numpy(), done.x[:, 1:].numpy(), 1.0)
    assert value(PowerSpectrum(), place) == pytest.approx(wanted, rel=1e-9)


def test_equal_windows_have_no_spectral_distance_and_waves_of_other_periods_nearly_the_largest() -> None:
    place = scene("smooth")
    t = np.arange(97)[None, :, None] + 10.0 * np.arange(8)[:, None, None]
    slow, fast = (torch.tensor(np.sin(2 * np.pi * t / period) * np.ones(3)) for period in (32.0, 6.0))
    assert value(PowerSpectrum(), place, x=slow, predicted=slow[:, 1:]) == pytest.approx(0.0, abs=1e-15)
    assert value(PowerSpectrum(), place, x=slow, predicted=3 * slow[:, 1:] + 1) == pytest.approx(0.0, abs=1e-5)
    assert 0.9 < value(PowerSpectrum(), place, x=slow, predicted=fast[:, 1:]) <= 1.0


def test_windows_that_stand_still_have_a_spectral_distance_and_a_finite_gradient() -> None:
    place = scene("smooth")
    still = torch.zeros((6, 24, 3), dtype=torch.float64, requires_grad=True)
    done = replace(place.done(place.tensors()), predicted=still)
    found = PowerSpectrum().bind(place.ground())(done)
    found.backward()
    assert 0 < found.item() <= 1
    assert still.grad is not None and bool(still.grad.isfinite().all())


@pytest.mark.parametrize("kind", ["flossing", "invariant_measure", "jacobian_matching"])
def test_terms_on_free_orbits_refuse_external_inputs(kind: str) -> None:
    with pytest.raises(Inconsistent, match="without external inputs"):
        LOSSES[kind]().check(PLRNN(latent=4, inputs=2), IdentityObservation())
