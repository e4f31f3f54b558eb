"""All Lyapunov exponents of a clipped shPLRNN from one start: ours, and a plain loop in torch, QR at each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from chaos_core.lyapunov.spectrum import cell_spectrum
from chaos_core.typing import Floats
from tests.bench.speed.cases import Case
from tests.bench.speed.runs import NARROW
from tests.bench.speed.timing import Json, beside_a_loop, shown

__all__ = ["lines", "measured", "ours", "theirs"]

STEPS = 10_000
SHARE = 10
"""The loop runs 1 / SHARE of the steps and its time is multiplied."""


def measured(rounds: int) -> list[Json]:
    """One record for each case."""
    return [
        beside_a_loop(case.name, theirs(case, STEPS // SHARE), ours(case, STEPS), STEPS, SHARE, rounds)
        for case in NARROW
    ]


def ours(case: Case, steps: int, burn_in: int = 0) -> Callable[[], Floats]:
    """Gives (M,) exponents, descending."""
    params, start = case.params(), case.x[:1]

    def run() -> Floats:
        found = cell_spectrum(case.cell, params, start, steps=steps, burn_in=burn_in)
        if found.exponents is None:
            raise ArithmeticError(found.reason)
        return found.exponents

    return run


def theirs(case: Case, steps: int, burn_in: int = 0) -> Callable[[], Floats]:
    """The same by a loop over torch operations."""
    p = {name: torch.tensor(value, dtype=torch.float64) for name, value in case.params().items()}
    start = torch.tensor(case.x[0])

    @torch.no_grad()
    def run() -> Floats:
        step, z = case.cell.bind(p), start
        frame = torch.eye(len(z), dtype=torch.float64)
        sums = torch.zeros(len(z), dtype=torch.float64)
        for t in range(burn_in + steps):
            frame, upper = torch.linalg.qr(case.cell.jacobian(p, z) @ frame)
            if t >= burn_in:
                sums += upper.diagonal().abs().log()
            z = step(z)
        return -np.sort(-np.asarray(sums / steps))

    return run


def lines(records: Sequence[Json]) -> Iterator[str]:
    """A table."""
    yield "| exponents, float64 | steps | torch loop ms | ours ms | loop / ours |\n|---|---|---|---|---|"
    for record in records:
        ms, found = record["ms"], record["ratios"]["loop / ours"]
        yield f"| {record['name']} | {record['steps']} | {ms['loop']:.4g} | {ms['ours']:.3g} | {shown(found)} |"
