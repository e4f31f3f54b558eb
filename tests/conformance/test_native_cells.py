"""Every cell with a native step equals its twin under every read-out, mask, gap and drive: values and gradients."""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from chaos_core.cells import CELLS
from chaos_core.forcing import AnyForcing
from chaos_core.forcing.generalized import Generalized
from chaos_core.forcing.none import NoForcing
from chaos_core.forcing.sparse import Sparse
from chaos_core.losses import Ground, Loss, Pass
from chaos_core.losses.manifold import ManifoldAttractor
from chaos_core.losses.norm import ParameterNorm
from chaos_core.native.matching import Matching
from chaos_core.observation import Observation
from chaos_core.typing import Floats, Params
from tests.conformance.kernel_cases import (
    LEVELS,
    NATIVE,
    READ_OUTS,
    Case,
    Sizes,
    cell_case,
    kernels,
    mask,
    relative_error,
    trainable,
    twin_loss,
    twin_penalty,
    variants,
)

pytestmark = pytest.mark.native

SMALL = Sizes(latent=5, hidden=0, observed=3, batch=13, steps=23)
FLAT = Sizes(latent=3, hidden=0, observed=3, batch=16, steps=9)
WIDE = Sizes(latent=19, hidden=0, observed=2, batch=33, steps=61)
FEWER = Sizes(latent=2, hidden=0, observed=4, batch=5, steps=7)
MASKS: list[AnyForcing] = [
    Sparse(tau=4, anneal_from=None),
    Generalized(alpha=0.3),
    NoForcing(),
    Sparse(tau=3, units=(1,)),
]
MEMBERS = [(kind, settings) for kind in NATIVE for settings in variants(kind)]
MATCHED = [member for member in MEMBERS if member[0] != "lstm"]
"""Only of these can the whole state be observed."""
TERMS: list[Loss] = [
    ParameterNorm(order=1, weight=0.01),
    ParameterNorm(order=2, weight=0.02),
    *(ManifoldAttractor(form=form, order=order, units="first") for form in ("powers", "norms") for order in (1, 2)),
]


def name(member: Any) -> str:
    return " ".join(map(str, member)) if isinstance(member, tuple) else getattr(member, "kind", str(member))


def assert_equals_twin(of: Case, alpha: Floats, losses: Sequence[Loss] = ()) -> None:
    params = trainable(of.params)
    loss = twin_loss(of, params, alpha)
    loss.backward()
    for level in LEVELS:
        ours, gradient = of.step(kernels=kernels(level), losses=losses).loss_and_gradient(of.starts, alpha)
        assert ours == pytest.approx(loss.item(), rel=1e-12), level
        errors = {key: relative_error(gradient[key], p.grad) for key, p in params.items()}
        assert errors == pytest.approx(dict.fromkeys(params, 0.0), abs=1e-12), level


def of_parameters(of: Case, term: Loss) -> Callable[[Params], torch.Tensor]:
    """A term that looks at parameters alone, bound in its torch form."""
    ground = Ground(of.cell, of.observation, of.x, None, lambda: (of.x, of.x), torch.as_tensor)
    bound, windows = term.bind(ground), torch.zeros(1, 2, of.sizes.observed)
    z = torch.zeros(1, 1, of.cell.state_size)
    return lambda p: bound(Pass(p, windows, None, z, windows[:, 1:], 0.0, np.random.default_rng(0)))


def test_every_cell_but_lem_has_a_native_step() -> None:
    assert set(CELLS) - set(NATIVE) == {"lem"}


@pytest.mark.parametrize("inputs", [0, 2], ids=["undriven", "driven"])
@pytest.mark.parametrize("missing", [0.0, 0.2], ids=["whole", "gaps"])
@pytest.mark.parametrize("observation", READ_OUTS, ids=lambda o: f"{o.kind} {getattr(o, 'hidden_start', '')}")
@pytest.mark.parametrize("member", MEMBERS, ids=name)
def test_loss_and_gradient_equal_autograd_on_every_level(
    member: tuple[str, dict[str, Any]], observation: Observation, missing: float, inputs: int
) -> None:
    of = cell_case(*member, observation, sizes=SMALL, missing=missing, inputs=inputs)
    for forcing in MASKS:
        assert_equals_twin(of, mask(forcing, SMALL, of.cell.state_size))


@pytest.mark.parametrize("sizes", [FLAT, WIDE], ids=str)
@pytest.mark.parametrize("member", MEMBERS, ids=name)
def test_other_sizes_equal_autograd(member: tuple[str, dict[str, Any]], sizes: Sizes) -> None:
    for observation in (READ_OUTS[0], READ_OUTS[-1]):
        of = cell_case(*member, observation, sizes=sizes)
        assert_equals_twin(of, mask(Sparse(tau=15, anneal_from=None), sizes, of.cell.state_size))


@pytest.mark.parametrize("member", MEMBERS, ids=name)
def test_any_mask_for_each_time_and_unit_is_taken(member: tuple[str, dict[str, Any]]) -> None:
    of = cell_case(*member, READ_OUTS[1], sizes=SMALL, missing=0.1)
    alpha = np.random.default_rng(1).uniform(-0.5, 1.5, (SMALL.steps, of.cell.state_size))
    assert_equals_twin(of, np.clip(alpha, 0.0, 1.0))


@pytest.mark.parametrize("observation", READ_OUTS[2:], ids=lambda o: o.kind)
def test_fewer_units_than_channels_take_the_best_fit(observation: Observation) -> None:
    for missing in (0.0, 0.2):
        of = cell_case("plrnn", {}, observation, sizes=FEWER, missing=missing)
        assert_equals_twin(of, mask(Generalized(alpha=0.3), FEWER))


@pytest.mark.parametrize("term", TERMS, ids=lambda t: f"{t.kind} {t.order} {getattr(t, 'form', '')}")
def test_terms_of_the_parameters_add_the_gradient_of_their_torch_form(term: Loss) -> None:
    of = cell_case("plrnn", {}, sizes=SMALL)
    alpha, params = mask(Generalized(alpha=0.3), SMALL), trainable(of.params)
    penalty = term.weight * of_parameters(of, term)(params)
    (twin_loss(of, params, alpha) + penalty).backward()
    step = of.step(losses=[term])
    _, gradient = step.loss_and_gradient(of.starts, alpha)
    assert step.penalty == pytest.approx(penalty.item(), rel=1e-12)
    errors = {key: relative_error(gradient[key], p.grad) for key, p in params.items()}
    assert errors == pytest.approx(dict.fromkeys(params, 0.0), abs=1e-12)


@pytest.mark.parametrize("member", MEMBERS, ids=name)
def test_single_precision_differs_by_rounding_only(member: tuple[str, dict[str, Any]]) -> None:
    of = cell_case(*member, READ_OUTS[2], sizes=WIDE)
    alpha = mask(Sparse(tau=7, anneal_from=None), WIDE, of.cell.state_size)
    loss, truth = of.step().loss_and_gradient(of.starts, alpha)
    for level in LEVELS:
        single = Case(**{**vars(of), "x": of.x.astype(np.float32)}).step(kernels=kernels(level))
        ours, gradient = single.loss_and_gradient(of.starts, alpha)
        assert ours == pytest.approx(loss, rel=1e-5)
        assert all(np.abs(gradient[key] - g).max() < 3e-5 * np.abs(g).max() for key, g in truth.items())


@pytest.mark.parametrize("member", MEMBERS, ids=name)
def test_a_nan_in_the_data_is_seen_in_loss_and_gradient(member: tuple[str, dict[str, Any]]) -> None:
    of = cell_case(*member, READ_OUTS[2], sizes=SMALL)
    of.x[:] = np.nan
    step = of.step(seen=None)
    losses, norms = step.updates(np.stack([of.starts] * 3), [mask(MASKS[0], SMALL, of.cell.state_size)] * 3, [1e-3] * 3)
    assert (len(losses), step.iteration) == (1, 1)
    assert np.isnan([*losses, *norms]).all()


@pytest.mark.parametrize("member", MEMBERS, ids=name)
def test_many_updates_in_one_call_give_the_bits_of_single_calls(member: tuple[str, dict[str, Any]]) -> None:
    of = cell_case(*member, READ_OUTS[3], sizes=SMALL, missing=0.1, inputs=1)
    rng, masks = np.random.default_rng(3), [mask(forcing, SMALL, of.cell.state_size) for forcing in MASKS]
    starts, rates = rng.integers(0, 300, (7, SMALL.batch)), np.geomspace(1e-2, 1e-3, 7)
    alphas = [masks[0], masks[0], masks[1], masks[3], masks[3].copy(), masks[0], masks[2]]
    together, apart = (of.step(optimiser="radam", clip_norm=1.0) for _ in range(2))
    losses, norms = together.updates(starts, alphas, rates)
    for k in range(7):
        assert apart.update(starts[k], alphas[k], float(rates[k])) == (losses[k], norms[k])
    np.testing.assert_array_equal(together.flat, apart.flat)
    assert together.iteration == apart.iteration == 7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("member", MEMBERS, ids=name)
def test_the_work_memory_is_as_large_as_the_step_says(member: tuple[str, dict[str, Any]], dtype: type) -> None:
    for batch, steps, inputs in ((1, 1, 0), (17, 40, 3)):
        sizes = Sizes(latent=5, hidden=0, observed=3, batch=batch, steps=steps)
        of = cell_case(*member, READ_OUTS[3], sizes=sizes, missing=0.2, inputs=inputs)
        step = Case(**{**vars(of), "x": of.x.astype(dtype)}).step()
        alpha = np.full((steps, of.cell.state_size), 0.5)
        step.loss_and_gradient(of.starts, alpha)
        needed = step._work_elements(ctypes.byref(step._arguments))
        work = np.full(needed + 1024, 12345.0, dtype)
        offset = -work.ctypes.data % 64 // work.itemsize
        step._hold(work=work[offset:])
        step.loss_and_gradient(of.starts, alpha)
        assert (work[offset + needed :] == 12345.0).all()


def test_the_limits_of_a_bounded_cell_are_kept() -> None:
    of = cell_case("clipped_dendplrnn", {"bases": 2, "bounded": True}, sizes=SMALL)
    of.params["A"][:] = [0.9998, -0.9998, 2.0, -2.0, 0.5]
    step = of.step()
    step.update(of.starts, mask(MASKS[1], SMALL), 1e-2)
    assert np.abs(step.parameters["A"]).max() <= 0.9999


@pytest.mark.parametrize("u", [None, np.zeros((400, 3)), np.zeros((399, 2))], ids=["none", "channels", "rows"])
def test_inputs_of_another_shape_are_refused(u: Floats | None) -> None:
    of = cell_case("plrnn", {}, sizes=SMALL, inputs=2)
    with pytest.raises(ValueError, match="u must be"):
        of.step(u=u)


@pytest.mark.parametrize("matched", [1, 21])
@pytest.mark.parametrize("member", MATCHED, ids=name)
def test_jacobian_matching_adds_the_gradient_of_the_cells_own_jacobian(
    member: tuple[str, dict[str, Any]], matched: int
) -> None:
    of = cell_case(*member, sizes=SMALL, missing=0.2, matched=matched)
    alpha, params = mask(Generalized(alpha=0.3), SMALL), trainable(of.params)
    penalty = twin_penalty(of, params)
    (twin_loss(of, params, alpha) + penalty).backward()
    for level in LEVELS:
        step = of.step(kernels=kernels(level))
        _, gradient = step.loss_and_gradient(of.starts, alpha, of.rows)
        assert step.penalty == pytest.approx(penalty.item(), rel=1e-12), level
        errors = {key: relative_error(gradient[key], p.grad) for key, p in params.items()}
        assert errors == pytest.approx(dict.fromkeys(params, 0.0), abs=1e-12), level


@pytest.mark.parametrize("member", MATCHED, ids=name)
def test_jacobian_matching_in_single_precision_differs_by_rounding_only(member: tuple[str, dict[str, Any]]) -> None:
    of, alpha = cell_case(*member, sizes=FLAT, matched=64), mask(Generalized(alpha=0.3), FLAT)
    step = of.step()
    _, truth = step.loss_and_gradient(of.starts, alpha, of.rows)
    for level in LEVELS:
        single = Case(**{**vars(of), "x": of.x.astype(np.float32)}).step(kernels=kernels(level))
        _, gradient = single.loss_and_gradient(of.starts, alpha, of.rows)
        assert single.penalty == pytest.approx(step.penalty, rel=1e-5)
        assert all(np.abs(gradient[key] - g).max() < 3e-5 * np.abs(g).max() for key, g in truth.items())


def test_a_cell_whose_state_is_never_seen_whole_has_no_native_matching() -> None:
    of, points = cell_case("lstm", {}, sizes=FLAT), np.zeros((5, 3))
    with pytest.raises(ValueError, match="no Jacobian matching in native code"):
        of.step(matching=Matching(points, np.zeros((5, 3, 3)), 0.1))
