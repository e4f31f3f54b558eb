"""One training step of a case, by each means: peers' replica, peers' clone, our torch engine, our native step."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import cycle
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from chaos_core.embedding import Embedding
from chaos_core.engine import Batch
from chaos_core.kernels import choose, fused
from chaos_core.native.step import NativeStep
from chaos_core.refusal import step_refusal
from chaos_core.spec import Device, Evaluation, Interval, Optimiser, Plan, Precision, Schedule, Split, Training
from chaos_core.torch_engine import TorchEngine
from chaos_core.typing import Floats, Ints
from chaos_core.windows import Rows
from tests.bench.speed.cases import BATCH, RATE, STEPS, Case
from tests.bench.speed.clones import clone
from tests.bench.speed.replica import replica

__all__ = [
    "MANY",
    "Update",
    "fed",
    "in_turn",
    "kernel",
    "many_updates",
    "native_step",
    "peer",
    "peer_clone",
    "reference",
]

Update: TypeAlias = Callable[[Ints], float]
"""One training step on windows that start there; returns the loss before it."""

MANY = 32
"""Updates in one call, where the native step can do several."""
POOL = 64
"""Different batches; a multiple of `MANY`."""


def peer(case: Case, rate: float = RATE, *, one_bias: bool = False) -> Update:
    """The replica of the peers' loop; `one_bias` holds the second bias of torch's RNN and LSTM at zero."""
    return _stepper(case, replica(case, case.params()), rate, one_bias)


def peer_clone(case: Case, rate: float = RATE, *, one_bias: bool = False) -> Update | None:
    """The authors' own module in the same loop; None where PEERS names no clones."""
    module = clone(case, case.params())
    return None if module is None else _stepper(case, module, rate, one_bias)


def _stepper(case: Case, module: nn.Module, rate: float, one_bias: bool) -> Update:
    if one_bias:
        for name, parameter in module.named_parameters():
            parameter.requires_grad_("bias_ih" not in name)
    x = torch.tensor(case.x, dtype=torch.float32)
    offsets = torch.arange(STEPS + 1)
    optimiser = torch.optim.Adam(module.parameters(), lr=rate)

    def update(starts: Ints) -> float:
        windows = x[torch.as_tensor(starts)[:, None] + offsets]
        optimiser.zero_grad()
        loss = nn.functional.mse_loss(module(windows[:, :-1]), windows[:, 1:].permute(1, 0, 2))
        torch.autograd.backward(loss)
        optimiser.step()
        return loss.item()

    return update


def reference(case: Case, rate: float = RATE) -> Update:
    """Our torch engine, with the scan that it takes where there is no native step."""
    x, scan = case.x, choose("torch is asked for", case.forcing)
    rows = Rows(x, (0, len(x)), np.zeros((len(x), 0)), x)
    engine = TorchEngine(_plan(case), rows, case.params(), scan, "cpu", _no_slopes)
    alpha, rng = case.alpha(), np.random.default_rng(0)

    def update(starts: Ints) -> float:
        return engine.updates([Batch(starts, alpha, rate, 0.0, rng)])[0][0]

    return update


def kernel(case: Case, rate: float = RATE, steps: int = STEPS) -> Update | str:
    """The native step, or why there is none."""
    step, alpha = native_step(case), case.alpha(steps)
    if isinstance(step, str):
        return step

    def update(starts: Ints) -> float:
        return step.update(starts, alpha, rate)[0]

    return update


def many_updates(case: Case) -> Callable[[], object] | None:
    """`MANY` native updates in one call; None where there is no native step."""
    step = native_step(case)
    if isinstance(step, str):
        return None
    batches = cycle(np.split(case.starts(POOL), POOL // MANY))
    return lambda: in_turn(step, case, next(batches))


def in_turn(step: NativeStep, case: Case, starts: Ints) -> None:
    """An update for each row of `starts`, in one call."""
    step.updates(starts, [case.alpha()] * len(starts), [RATE] * len(starts))


def native_step(case: Case, seed: int = 0, x: Floats | None = None) -> NativeStep | str:
    """The native training of a case, on its own data or on others, or why there is none."""
    refusal = step_refusal(case.cell, case.observation, observed=case.observed)
    if refusal is not None:
        return refusal
    data = (case.x if x is None else x).astype(np.float32)
    return fused.native_step(case.cell, data, case.params(seed), observation=case.observation, optimiser="adam")


def fed(case: Case, update: Update, steps: int = STEPS) -> Callable[[], object]:
    """The update on one batch after the other, always in the same order; a diverged cell would be timed for nothing."""
    batches = cycle(case.starts(POOL, steps))

    def call() -> None:
        if not math.isfinite(update(next(batches))):
            raise ArithmeticError(f"the training of {case.name} diverged")

    return call


def _plan(case: Case) -> Plan:
    training = Training(
        updates=1,
        sequence_length=STEPS,
        batch_size=BATCH,
        optimiser=Optimiser.ADAM,
        learning_rate=RATE,
        learning_rate_end=RATE,
        schedule=Schedule.CONSTANT,
        clip_norm=None,
        validations=1,
        restarts=0,
        dtype=Precision.FLOAT32,
        device=Device.CPU,
    )
    return Plan(
        cell=case.cell,
        observation=case.observation,
        forcing=case.forcing,
        training=training,
        evaluation=Evaluation(),
        embedding=Embedding(),
        split=Split(),
        channels=case.observed,
        dt=None,
        names=tuple(f"x{i}" for i in range(case.observed)),
        interval=Interval(
            predictability_time_steps=None, factor=None, tau=None, source="client", schedule="", why="fixed for timing"
        ),
    )


def _no_slopes() -> tuple[Floats, Floats]:
    raise AssertionError("nothing asked for the Jacobians of the data")
