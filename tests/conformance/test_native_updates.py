"""A hundred native updates equal those of torch.optim on the twin's gradient, and the edges of data and memory."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from chaos_core.forcing.generalized import Generalized
from chaos_core.forcing.sparse import Sparse
from chaos_core.native.step import NativeStep
from tests.conformance.kernel_cases import (
    ROWS,
    Case,
    Sizes,
    case,
    mask,
    relative_error,
    trainable,
    twin_loss,
    twin_penalty,
)

pytestmark = pytest.mark.native

SMALL = Sizes(latent=4, hidden=9, observed=3, batch=6, steps=13)
ALPHA = mask(Generalized(alpha=0.3), SMALL)
TWINS: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, float]]] = {
    "adam": (torch.optim.Adam, {}),
    "radam": (torch.optim.RAdam, {}),
    "adamw": (torch.optim.AdamW, {"weight_decay": 0.02}),
    "adam with decay": (torch.optim.Adam, {"weight_decay": 0.02}),
}
ALL: dict[str, Any] = {"smoothing": 0.1, "missing": 0.2, "matched": 21}
VARIANTS: list[dict[str, Any]] = [{}, {"smoothing": 0.5}, {"missing": 0.2}, {"matched": 21}, ALL]


def train_side_by_side(of: Case, step: NativeStep, optimiser: torch.optim.Optimizer, clip_norm: float | None) -> None:
    """A hundred updates on both sides, with new windows, points and learning rate each time."""
    params = dict(zip(of.params, optimiser.param_groups[0]["params"], strict=True))
    limits, rng = of.cell.limits(), np.random.default_rng(2)
    for update in range(100):
        starts = rng.integers(0, ROWS - of.sizes.steps, of.sizes.batch)
        rows = None if of.rows is None else rng.integers(0, 30, len(of.rows))
        rate = optimiser.param_groups[0]["lr"] = 1e-2 / (1 + update / 50)
        optimiser.zero_grad()
        loss, penalty = twin_loss(of, params, ALPHA, starts), twin_penalty(of, params, rows)
        (loss + penalty).backward()
        length = torch.nn.utils.clip_grad_norm_(list(params.values()), clip_norm or float("inf"))
        optimiser.step()
        assert step.update(starts, ALPHA, rate, rows) == pytest.approx((loss.item(), length.item()), rel=1e-10)
        assert step.penalty == pytest.approx(penalty.item(), rel=1e-10)
        for key, limit in limits.items():
            np.clip(step.parameters[key], -limit, limit, out=step.parameters[key])
            with torch.no_grad():
                params[key].clamp_(-limit, limit)
    for key, p in params.items():
        np.testing.assert_allclose(step.parameters[key], p.detach().numpy(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("clip_norm", [None, 0.05], ids=["free", "clipped"])
@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("variant", [{}, ALL], ids=["plain", "all"])
def test_a_hundred_native_updates_equal_those_of_torch(
    variant: dict[str, Any], name: str, clip_norm: float | None
) -> None:
    of, (twin, settings) = case(SMALL, **variant), TWINS[name]
    step = of.step(optimiser=name.split()[0], clip_norm=clip_norm, **settings)
    train_side_by_side(of, step, twin(list(trainable(of.params).values()), lr=1e-2, **settings), clip_norm)
    assert step.iteration == 100


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_bounded_cell_is_kept_within_its_limit_by_writing_into_the_views_of_the_parameters(
    variant: dict[str, Any],
) -> None:
    plain = case(SMALL, bounded=True, **variant)
    growing = 1.01 ** np.arange(ROWS)[:, None] * np.array([1.0, -1.0, 0.5])
    words = {"seen": growing, "x": np.where(np.isnan(plain.x), np.nan, growing)}
    of = Case(**{**vars(plain), **words, "params": plain.params | {"A": np.array([0.99, 0.98, 0.97, 0.96])}})
    step = of.step(optimiser="radam")
    train_side_by_side(of, step, torch.optim.RAdam(list(trainable(of.params).values())), None)
    assert (step.parameters["A"][:2] == 0.9999).all()
    np.testing.assert_array_equal(step.flat[:4], step.parameters["A"])


def test_a_batch_without_any_target_has_loss_and_gradient_zero_and_only_the_penalty_is_left() -> None:
    of = case(SMALL, smoothing=0.1, matched=5)
    empty = Case(**{**vars(of), "x": np.full_like(of.x, np.nan)})
    step, params = empty.step(), trainable(of.params)
    loss, gradient = step.loss_and_gradient(of.starts, ALPHA)
    assert (loss, step.penalty) == (0.0, 0.0)
    assert not any(array.any() for array in gradient.values())
    twin_penalty(of, params).backward()
    loss, gradient = step.loss_and_gradient(of.starts, ALPHA, of.rows)
    assert loss == 0.0
    assert {key: relative_error(gradient[key], p.grad) for key, p in params.items() if key != "h1"} == pytest.approx(
        {key: 0.0 for key in params if key != "h1"}, abs=1e-12
    )


def test_a_missing_entry_is_forced_by_no_mask_and_its_unit_goes_on_from_where_it_was() -> None:
    sizes = Sizes(latent=2, hidden=3, observed=2, batch=1, steps=4)
    of = case(sizes)
    holed = of.x.copy()
    holed[2, 0] = np.nan
    step = Case(**{**vars(of), "x": holed, "seen": holed}).step()
    alpha, bind, z = np.ones((4, 2)), of.cell.bind(trainable(of.params)), torch.as_tensor(of.seen[0])
    errors = []
    for t in range(4):
        if t:
            z = torch.where(torch.as_tensor(np.isnan(holed[t])), z, torch.as_tensor(of.seen[t]))
        z = bind(z).detach()
        errors.append((z.numpy() - holed[t + 1]) ** 2)
    expected = np.nansum(errors) / 7
    assert step.loss_and_gradient(np.array([0]), alpha)[0] == pytest.approx(expected, rel=1e-12)


def test_a_bridged_entry_forces_but_is_no_target() -> None:
    of = case(SMALL, missing=0.2)
    gap = np.isnan(of.x) & np.isfinite(of.seen)
    assert gap.any()
    one, two = of.step(), of.step(seen=np.where(gap, of.seen + 7.0, of.seen))
    assert one.loss_and_gradient(of.starts, ALPHA)[0] != two.loss_and_gradient(of.starts, ALPHA)[0]
    never = np.zeros_like(ALPHA)
    starts = np.flatnonzero(np.isfinite(of.x[: ROWS - SMALL.steps]).all(1))[: SMALL.batch]
    assert one.loss_and_gradient(starts, never)[0] == two.loss_and_gradient(starts, never)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("steps", [1, 13])
def test_a_window_that_ends_on_the_last_row_reads_nothing_behind_the_data(steps: int, dtype: type) -> None:
    sizes = Sizes(latent=3, hidden=5, observed=3, batch=1, steps=steps)
    of, alpha = case(sizes, **ALL), mask(Sparse(tau=2, anneal_from=None), sizes)
    guarded, guarded_fill = (np.full((ROWS + 50, 3), np.inf, dtype) for _ in range(2))
    guarded[:ROWS], guarded_fill[:ROWS] = of.x, of.seen
    last, rows = np.array([ROWS - 1 - steps]), np.array([29])
    inside = Case(**{**vars(of), "x": guarded[:ROWS], "seen": guarded_fill[:ROWS]}).step()
    fresh = Case(**{**vars(of), "x": of.x.astype(dtype)}).step()
    for call in range(2):
        loss, gradient = inside.loss_and_gradient(last, alpha, rows)
        same_loss, same_gradient = fresh.loss_and_gradient(last, alpha, rows)
        assert np.isfinite(loss)
        assert (loss, inside.penalty, call) == (same_loss, fresh.penalty, call)
        assert all((gradient[key] == array).all() for key, array in same_gradient.items())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [1, 15, 16, 17])
def test_the_work_memory_is_as_large_as_the_step_says(batch: int, dtype: type) -> None:
    for latent, hidden, steps, matched in ((1, 1, 1, 1), (3, 5, 1, 17), (9, 21, 7, 16), (8, 130, 40, 3)):
        sizes = Sizes(latent=latent, hidden=hidden, observed=latent, batch=batch, steps=steps)
        of = case(sizes, smoothing=0.1, missing=0.2, matched=matched)
        step = Case(**{**vars(of), "x": of.x.astype(dtype)}).step()
        step.loss_and_gradient(of.starts, np.full((steps, latent), 0.5), of.rows)
        needed = step._work_elements(ctypes.byref(step._arguments))
        work = np.full(needed + 1024, 12345.0, dtype)
        offset = -work.ctypes.data % 64 // work.itemsize
        step._hold(work=work[offset:])
        step.loss_and_gradient(of.starts, np.full((steps, latent), 0.5), of.rows)
        assert (work[offset + needed :] == 12345.0).all()
