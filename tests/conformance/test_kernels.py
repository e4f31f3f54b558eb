"""Every kernel equals the reference scan with autograd: values and gradients, at sizes that fit no vector or block."""

from typing import Any

import numpy as np
import pytest
import torch

from chaos_core.forcing import AnyForcing
from chaos_core.forcing.generalized import Generalized
from chaos_core.forcing.sparse import Sparse
from chaos_core.kernels import Kernel
from chaos_core.kernels.scans import SCANS
from chaos_core.scan import scan
from chaos_core.typing import Floats
from tests.conformance.kernel_cases import (
    FORCINGS,
    LEVELS,
    ON_ANY_MACHINE,
    ROWS,
    SIZES,
    Case,
    Sizes,
    case,
    kernels,
    mask,
    relative_error,
    trainable,
    twin_loss,
    twin_penalty,
)

pytestmark = pytest.mark.native

VARIANTS: list[dict[str, Any]] = [
    {"smoothing": smoothing, "missing": missing, "matched": matched}
    for smoothing in (0.0, 0.1, 0.5)
    for missing in (0.0, 0.2)
    for matched in (0, 21)
]
SINGLE: list[dict[str, Any]] = [{"smoothing": 0.1}, {"missing": 0.2}, {"matched": 21}, VARIANTS[-1]]


def name(variant: dict[str, Any]) -> str:
    return " ".join(f"{key} {value}" for key, value in variant.items())


def assert_equals_twin(of: Case, alpha: Floats) -> None:
    params = trainable(of.params)
    loss, penalty = twin_loss(of, params, alpha), twin_penalty(of, params)
    (loss + penalty).backward()
    for level in LEVELS:
        step = of.step(kernels=kernels(level))
        ours, gradient = step.loss_and_gradient(of.starts, alpha, of.rows)
        assert (ours, step.penalty) == pytest.approx((loss.item(), penalty.item()), rel=1e-12), level
        errors = {key: relative_error(gradient[key], p.grad) for key, p in params.items()}
        assert errors == pytest.approx(dict.fromkeys(params, 0.0), abs=1e-12), level


@pytest.mark.parametrize("forcing", FORCINGS, ids=lambda forcing: forcing.kind)
@pytest.mark.parametrize("variant", VARIANTS, ids=name)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_native_loss_penalty_and_gradient_equal_autograd_on_every_level(
    sizes: Sizes, variant: dict[str, Any], forcing: AnyForcing
) -> None:
    assert_equals_twin(case(sizes, **variant), mask(forcing, sizes))


@pytest.mark.parametrize("variant", SINGLE, ids=name)
def test_the_native_step_takes_any_mask_for_each_time_and_unit(variant: dict[str, Any]) -> None:
    sizes = Sizes(latent=6, hidden=10, observed=4, batch=5, steps=23)
    alpha = np.random.default_rng(1).uniform(-0.5, 1.5, (sizes.steps, sizes.latent))
    assert_equals_twin(case(sizes, **variant), np.clip(alpha, 0.0, 1.0))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("variant", [{}, *SINGLE], ids=name)
def test_single_precision_differs_by_rounding_only(variant: dict[str, Any], level: str) -> None:
    of = case(SIZES[0], **variant)
    alpha, double = mask(Generalized(alpha=0.15), of.sizes), of.step(kernels=kernels(level))
    loss, truth = double.loss_and_gradient(of.starts, alpha, of.rows)
    single = Case(**{**vars(of), "x": of.x.astype(np.float32)}).step(kernels=kernels(level))
    ours, gradient = single.loss_and_gradient(of.starts, alpha, of.rows)
    assert (ours, single.penalty) == pytest.approx((loss, double.penalty), rel=1e-5)
    assert all(np.abs(gradient[key] - g).max() < 1e-5 * np.abs(g).max() for key, g in truth.items())
    assert {g.dtype for g in gradient.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("forcing", FORCINGS, ids=lambda forcing: forcing.kind)
def test_a_batch_in_which_nothing_is_missing_gives_the_bits_of_a_complete_series(
    forcing: AnyForcing, dtype: type
) -> None:
    of = case(SIZES[1])
    holed = of.x.astype(dtype)
    holed[-1] = np.nan
    alpha, starts = mask(forcing, of.sizes), of.starts[of.starts < ROWS - of.sizes.steps - 1]
    complete = Case(**{**vars(of), "x": of.x.astype(dtype)}).step()
    gaps = Case(**{**vars(of), "x": holed}).step()
    loss, gradient = complete.loss_and_gradient(starts, alpha)
    same_loss, same_gradient = gaps.loss_and_gradient(starts, alpha)
    assert loss == same_loss
    for key, array in gradient.items():
        np.testing.assert_array_equal(same_gradient[key], array)


@pytest.mark.parametrize("kernel", [kernel for kernel in ON_ANY_MACHINE if kernel is not Kernel.REFERENCE])
@pytest.mark.parametrize("forcing", [forcing for forcing in FORCINGS if forcing.whole_state], ids=lambda f: f.kind)
def test_other_scans_equal_the_reference_with_gradients(kernel: Kernel, forcing: AnyForcing) -> None:
    sizes = Sizes(latent=5, hidden=7, observed=5, batch=3, steps=37)
    of, alpha = case(sizes), mask(forcing, sizes)
    d = torch.as_tensor(of.x[of.starts[:, None] + np.arange(sizes.steps)])
    results = []
    for run in (SCANS[kernel], scan):
        params = trainable(of.params)
        z = run(of.cell, params, d[:, 0], d, alpha, None)
        (z**2).mean().backward()
        results.append((z.detach(), {name: p.grad for name, p in params.items()}))
    (z, gradient), (true_z, true_gradient) = results
    torch.testing.assert_close(z, true_z, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient, true_gradient, rtol=1e-12, atol=1e-12)


def test_a_forced_step_is_not_poisoned_by_a_free_run_that_overflowed() -> None:
    sizes = Sizes(latent=2, hidden=3, observed=2, batch=2, steps=8)
    of = case(sizes)
    wild = Case(**{**vars(of), "params": of.params | {"A": np.full(2, 1e200)}})
    alpha = mask(Sparse(tau=2, anneal_from=None), sizes)
    loss, _ = wild.step().loss_and_gradient(of.starts, alpha)
    assert loss == twin_loss(wild, trainable(wild.params), alpha).item() == np.inf
