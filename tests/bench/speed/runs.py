"""A free run of the clipped shPLRNN in float64: ours, native where there is a library, and a plain loop in torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from chaos_core.orbits import orbits
from chaos_core.typing import Floats
from tests.bench.speed.cases import CLIPPED, Case
from tests.bench.speed.timing import Json, beside_a_loop, shown

__all__ = ["NARROW", "lines", "measured", "ours", "theirs"]

NARROW = CLIPPED[:2]
STEPS = 100_000
SHARE = 50
"""The loop runs 1 / SHARE of the steps and its time is multiplied: each of its steps takes as long as the next."""


def measured(rounds: int) -> list[Json]:
    """One record for each case."""
    return [
        beside_a_loop(case.name, theirs(case, STEPS // SHARE), ours(case, STEPS), STEPS, SHARE, rounds)
        for case in NARROW
    ]


def ours(case: Case, steps: int) -> Callable[[], Floats]:
    """Gives (steps, M)."""
    params, start = case.params(), case.x[:1]
    return lambda: orbits(case.cell, params, start, steps)[0]


def theirs(case: Case, steps: int) -> Callable[[], Floats]:
    """The same by a loop over torch operations."""
    p = {name: torch.tensor(value, dtype=torch.float64) for name, value in case.params().items()}
    start = torch.tensor(case.x[0])

    @torch.no_grad()
    def run() -> Floats:
        step, z = case.cell.bind(p), start
        zs = torch.empty(steps, len(z), dtype=torch.float64)
        for t in range(steps):
            z = step(z)
            zs[t] = z
        return np.asarray(zs)

    return run


def lines(records: Sequence[Json]) -> Iterator[str]:
    """A table."""
    yield "| free run, float64 | steps | torch loop ms | ours ms | loop / ours |\n|---|---|---|---|---|"
    for record in records:
        ms, found = record["ms"], record["ratios"]["loop / ours"]
        yield f"| {record['name']} | {record['steps']} | {ms['loop']:.4g} | {ms['ours']:.3g} | {shown(found)} |"
