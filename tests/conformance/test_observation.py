"""What every observation must do."""

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from chaos_core import observation as observations
from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.errors import Inconsistent
from chaos_core.initialise import draw
from chaos_core.observation import (
    OBSERVATIONS,
    AnyObservation,
    IdentityObservation,
    LinearObservation,
    Observation,
)

SIZES = [(3, 3), (6, 2)]


@pytest.fixture(params=sorted(OBSERVATIONS))
def observation(request: pytest.FixtureRequest) -> Observation:
    return OBSERVATIONS[request.param]()


@pytest.mark.parametrize(("latent", "observed"), SIZES)
def test_an_inferred_state_predicts_the_observation_that_it_was_inferred_from(
    observation: Observation, latent: int, observed: int
) -> None:
    p = as_arrays(draw(observation.parameters(latent, observed), np.random.default_rng(0)))
    x = as_array(np.random.default_rng(1).standard_normal((4, 5, observed)))
    d = observation.infer(p, x, latent)
    assert d.shape == (4, 5, latent)
    np.testing.assert_allclose(as_numpy(observation.predict(p, d, observed)), as_numpy(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("latent", "observed"), SIZES)
def test_numpy_gives_what_torch_gives(observation: Observation, latent: int, observed: int) -> None:
    params = draw(observation.parameters(latent, observed), np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((5, observed))
    p = {name: torch.tensor(value) for name, value in params.items()}
    by_torch = observation.infer(p, torch.tensor(x), latent)
    by_numpy = observation.infer(as_arrays(params), as_array(x), latent)
    np.testing.assert_allclose(as_numpy(by_numpy), by_torch.numpy(), rtol=1e-13, atol=1e-13)
    seen = observation.predict(as_arrays(params), by_numpy, observed)
    np.testing.assert_allclose(as_numpy(seen), observation.predict(p, by_torch, observed).numpy(), rtol=0, atol=1e-13)


def test_the_number_type_is_kept(observation: Observation) -> None:
    params = draw(observation.parameters(4, 2), np.random.default_rng(0))
    p = {name: torch.tensor(value, dtype=torch.float32) for name, value in params.items()}
    d = observation.infer(p, torch.randn(5, 2), 4)
    assert d.dtype == torch.float32
    assert observation.predict(p, d, 2).dtype == torch.float32


def test_vmap_over_jobs_gives_each_job_its_own_inverse(observation: Observation) -> None:
    jobs = [draw(observation.parameters(4, 2), np.random.default_rng(seed)) for seed in range(3)]
    stacked = {name: torch.stack([torch.tensor(job[name]) for job in jobs]) for name in jobs[0]}
    x = torch.randn(3, 5, 2, dtype=torch.float64)
    together = torch.func.vmap(lambda p, seen: observation.infer(p, seen, 4))(stacked, x)
    for job in range(3):
        alone = observation.infer({name: torch.tensor(value) for name, value in jobs[job].items()}, x[job], 4)
        torch.testing.assert_close(together[job], alone, rtol=0, atol=1e-12)


def test_an_observation_states_its_equation_and_survives_json(observation: Observation) -> None:
    assert observation.equation.startswith("x = ")
    assert TypeAdapter(AnyObservation).validate_json(observation.model_dump_json()) == observation


def test_the_linear_inverse_is_the_state_of_smallest_norm() -> None:
    """For B = (3, 4) and x = 5 that is (3, 4) / 5."""
    p = as_arrays({"B": np.array([[3.0, 4.0]])})
    np.testing.assert_allclose(as_numpy(LinearObservation().infer(p, as_array([[5.0]]), 2)), [[0.6, 0.8]], rtol=1e-14)


def test_the_gradient_through_the_inverse_is_the_derivative() -> None:
    matrix = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    x = torch.randn(5, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda b: LinearObservation().infer({"B": b}, x, 4), (matrix,))


def test_hidden_units_of_the_identity_start_at_zero() -> None:
    d = IdentityObservation().infer({}, as_array([[1.0, 2.0]]), 4)
    np.testing.assert_array_equal(as_numpy(d), [[1, 2, 0, 0]])


def test_the_identity_needs_a_unit_for_each_channel() -> None:
    with pytest.raises(Inconsistent) as caught:
        observations.fill(IdentityObservation(), latent=2, observed=3)
    assert caught.value.fields == {"latent": 2, "channels": 3}


def test_auto_is_the_identity_where_sizes_agree_and_linear_where_they_do_not() -> None:
    assert observations.fill("auto", latent=3, observed=3) == IdentityObservation()
    assert observations.fill("auto", latent=30, observed=3) == LinearObservation()
    assert observations.fill("auto", latent=2, observed=3) == LinearObservation()
    assert observations.fill(LinearObservation(), latent=3, observed=3) == LinearObservation()
    assert observations.fill(IdentityObservation(), latent=5, observed=3) == IdentityObservation()
