"""Every kernel equals the reference scan with autograd and torch.optim: values, gradients and a hundred updates."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.forcing import AnyForcing
from chaos_core.forcing.generalized import Generalized
from chaos_core.forcing.identity import Identity
from chaos_core.forcing.none import NoForcing
from chaos_core.forcing.sparse import Sparse
from chaos_core.initialise import draw
from chaos_core.kernels import SCANS, Kernel
from chaos_core.kernels.fused import NativeStep
from chaos_core.native.loader import FOLDER, Library, cpu_levels, open_library
from chaos_core.observation import IdentityObservation
from chaos_core.scan import scan
from chaos_core.typing import Floats, Ints

ROWS = 400
FORCINGS: list[AnyForcing] = [
    Sparse(tau=7, anneal_from=None),
    Generalized(alpha=0.15),
    Identity(tau=5, anneal_from=None),
    NoForcing(),
]
LEVELS = cpu_levels()


@dataclass(frozen=True)
class Sizes:
    """Chosen so that no length is a multiple of a vector, a register block or a chunk of time steps."""

    latent: int
    hidden: int
    observed: int
    batch: int
    steps: int


SIZES = [
    Sizes(latent=3, hidden=50, observed=3, batch=16, steps=200),
    Sizes(latent=5, hidden=7, observed=3, batch=13, steps=37),
    Sizes(latent=9, hidden=13, observed=2, batch=33, steps=11),
    Sizes(latent=17, hidden=130, observed=17, batch=3, steps=29),
    Sizes(latent=1, hidden=1, observed=1, batch=1, steps=1),
]


@dataclass(frozen=True)
class Case:
    """A cell with parameters, a series and a batch of windows."""

    sizes: Sizes
    cell: ClippedShPLRNN
    params: dict[str, Floats]
    x: Floats
    starts: Ints


def case(sizes: Sizes, seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    cell = ClippedShPLRNN(latent=sizes.latent, hidden=sizes.hidden)
    drawn = draw(cell.parameters(), rng)
    params = {name: array + 0.1 * rng.standard_normal(array.shape) for name, array in drawn.items()}
    params["A"] *= 0.5
    x = rng.standard_normal((ROWS, sizes.observed))
    return Case(sizes, cell, params, x, rng.integers(0, ROWS - sizes.steps, sizes.batch))


def mask(forcing: AnyForcing, sizes: Sizes) -> Floats:
    return forcing.mask(sizes.steps, sizes.latent, sizes.observed, 0.0, np.random.default_rng(0))


def reference_loss(of: Case, params: dict[str, torch.Tensor], alpha: Floats) -> torch.Tensor:
    rows = of.starts[:, None] + np.arange(of.sizes.steps + 1)
    x = torch.as_tensor(of.x[rows])
    d = IdentityObservation().infer(params, x[:, :-1], of.sizes.latent)
    z = scan(of.cell, params, d[:, 0], d, alpha)
    return ((IdentityObservation().predict(params, z, of.sizes.observed) - x[:, 1:]) ** 2).mean()


def trainable(params: dict[str, Floats]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(array, requires_grad=True) for name, array in params.items()}


def kernels(level: str) -> Library:
    library, status = open_library(FOLDER, [level])
    assert library is not None, status.reason
    return library


def relative_error(ours: Floats, truth: torch.Tensor | None) -> float:
    assert truth is not None
    return float(np.abs(ours - truth.numpy()).max() / max(np.abs(truth.numpy()).max(), 1e-300))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("forcing", FORCINGS, ids=lambda forcing: forcing.kind)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_native_loss_and_gradient_equal_autograd(sizes: Sizes, forcing: AnyForcing, level: str) -> None:
    of, alpha = case(sizes), mask(forcing, sizes)
    params = trainable(of.params)
    loss = reference_loss(of, params, alpha)
    loss.backward()
    ours, gradient = NativeStep(of.cell, of.x, of.params, kernels=kernels(level)).loss_and_gradient(of.starts, alpha)
    assert ours == pytest.approx(loss.item(), rel=1e-12)
    assert {name: relative_error(gradient[name], p.grad) for name, p in params.items()} == pytest.approx(
        dict.fromkeys(params, 0.0), abs=1e-12
    )


def test_the_native_step_takes_any_mask_for_each_time_and_unit() -> None:
    sizes = Sizes(latent=6, hidden=10, observed=4, batch=5, steps=23)
    of, rng = case(sizes), np.random.default_rng(1)
    alpha = np.clip(rng.uniform(-0.5, 1.5, (sizes.steps, sizes.latent)), 0.0, 1.0)
    params = trainable(of.params)
    loss = reference_loss(of, params, alpha)
    loss.backward()
    ours, gradient = NativeStep(of.cell, of.x, of.params).loss_and_gradient(of.starts, alpha)
    assert ours == pytest.approx(loss.item(), rel=1e-12)
    assert max(relative_error(gradient[name], p.grad) for name, p in params.items()) < 1e-12


def test_a_mask_of_one_number_a_step_forces_the_channels_and_leaves_hidden_units_free() -> None:
    sizes = Sizes(latent=5, hidden=7, observed=3, batch=4, steps=21)
    of, forcing = case(sizes), Identity(tau=4, anneal_from=None)
    full, step = mask(forcing, sizes), NativeStep(of.cell, of.x, of.params)
    assert step.loss_and_gradient(of.starts, full[:, 0])[0] == step.loss_and_gradient(of.starts, full)[0]


def test_single_precision_differs_by_rounding_only() -> None:
    of = case(SIZES[0])
    alpha = mask(Generalized(alpha=0.15), of.sizes)
    loss, truth = NativeStep(of.cell, of.x, of.params).loss_and_gradient(of.starts, alpha)
    ours, gradient = NativeStep(of.cell, of.x.astype(np.float32), of.params).loss_and_gradient(of.starts, alpha)
    assert ours == pytest.approx(loss, rel=1e-5)
    assert all(np.abs(gradient[name] - g).max() < 1e-5 * np.abs(g).max() for name, g in truth.items())
    assert {g.dtype for g in gradient.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kernel", [kernel for kernel in SCANS if kernel is not Kernel.REFERENCE])
@pytest.mark.parametrize("forcing", [forcing for forcing in FORCINGS if forcing.whole_state], ids=lambda f: f.kind)
def test_other_scans_equal_the_reference_with_gradients(kernel: Kernel, forcing: AnyForcing) -> None:
    sizes = Sizes(latent=5, hidden=7, observed=5, batch=3, steps=37)
    of, alpha = case(sizes), mask(forcing, sizes)
    d = torch.as_tensor(of.x[of.starts[:, None] + np.arange(sizes.steps)])
    results = []
    for run in (SCANS[kernel], scan):
        params = trainable(of.params)
        z = run(of.cell, params, d[:, 0], d, alpha)
        (z**2).mean().backward()
        results.append((z.detach(), {name: p.grad for name, p in params.items()}))
    (z, gradient), (true_z, true_gradient) = results
    torch.testing.assert_close(z, true_z, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient, true_gradient, rtol=1e-12, atol=1e-12)


TWINS: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, float]]] = {
    "adam": (torch.optim.Adam, {}),
    "radam": (torch.optim.RAdam, {}),
    "adamw": (torch.optim.AdamW, {"weight_decay": 0.02}),
    "adam with decay": (torch.optim.Adam, {"weight_decay": 0.02}),
}


@pytest.mark.parametrize("clip_norm", [None, 0.05], ids=["free", "clipped"])
@pytest.mark.parametrize("name", TWINS)
def test_a_hundred_native_updates_equal_those_of_torch(name: str, clip_norm: float | None) -> None:
    sizes = Sizes(latent=4, hidden=9, observed=3, batch=6, steps=13)
    of, alpha, rng = case(sizes), mask(Generalized(alpha=0.3), sizes), np.random.default_rng(2)
    twin, settings = TWINS[name]
    params = trainable(of.params)
    optimiser = twin(list(params.values()), lr=1e-2, **settings)
    step = NativeStep(of.cell, of.x, of.params, optimiser=name.split()[0], clip_norm=clip_norm, **settings)
    for update in range(100):
        batch = Case(sizes, of.cell, of.params, of.x, rng.integers(0, ROWS - sizes.steps, sizes.batch))
        rate = 1e-2 / (1 + update / 50)
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        loss = reference_loss(batch, params, alpha)
        loss.backward()
        length = torch.nn.utils.clip_grad_norm_(list(params.values()), clip_norm or float("inf"))
        optimiser.step()
        assert step.update(batch.starts, alpha, rate) == pytest.approx((loss.item(), length.item()), rel=1e-10)
    assert step.iteration == 100
    for key, p in params.items():
        np.testing.assert_allclose(step.parameters[key], p.detach().numpy(), rtol=0, atol=1e-10)


def test_a_forced_step_is_not_poisoned_by_a_free_run_that_overflowed() -> None:
    sizes = Sizes(latent=2, hidden=3, observed=2, batch=2, steps=8)
    of = case(sizes)
    params = of.params | {"A": np.full(2, 1e200)}
    alpha = mask(Sparse(tau=2, anneal_from=None), sizes)
    loss, _ = NativeStep(of.cell, of.x, params).loss_and_gradient(of.starts, alpha)
    assert loss == reference_loss(of, trainable(params), alpha).item() == np.inf
