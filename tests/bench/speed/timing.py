"""Variants timed in turns, A/B/C/A/B/C, so that whatever slows the machine for a while slows all of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch

from chaos_core.typing import Floats

__all__ = [
    "LARGEST_SPREAD",
    "Json",
    "Rounds",
    "alternate",
    "beside_a_loop",
    "median_ms",
    "ratio",
    "shown",
    "square_product",
]

Json: TypeAlias = dict[str, Any]
Rounds: TypeAlias = dict[str, Floats]
"""Seconds of a call of each variant, (rounds,)."""

SLOT_S = 0.3
LARGEST_SPREAD = 0.1
SQUARE = 1024


def alternate(variants: Mapping[str, Callable[[], object]], rounds: int, slot_s: float = SLOT_S) -> Rounds:
    """Each variant for a slot, in turns; the first call of a slot warms the caches and is not counted.

    Args:
        variants: what to call, by name.
        rounds: how often each one has its turn.
        slot_s: seconds of a turn; it is at least one call long.

    Returns:
        Per round the mean seconds of a call.
    """
    found: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, call in variants.items():
            found[name].append(_slot(call, slot_s))
    return {name: np.array(seconds) for name, seconds in found.items()}


def _slot(call: Callable[[], object], slot_s: float) -> float:
    """Mean and not median: a processor lent to others stops a long call always and a short one seldom."""
    call()
    calls, began = 0, time.perf_counter()
    while True:
        call()
        calls += 1
        taken = time.perf_counter() - began
        if taken >= slot_s:
            return taken / calls


def median_ms(seconds: Floats) -> float:
    """Over the rounds."""
    return float(np.median(seconds)) * 1e3


def ratio(over: Floats, under: Floats) -> Json:
    """Median of the rounds' ratios, where 10 and 90 % of them lie, and how wide that is beside the median."""
    low, median, high = np.quantile(over / under, (0.1, 0.5, 0.9)).tolist()
    return {"median": median, "low": low, "high": high, "spread": (high - low) / median}


def shown(found: Json | None) -> str:
    """A ratio in a table."""
    if found is None:
        return "none"
    return f"{_digits(found['median'])} ({_digits(found['low'])} to {_digits(found['high'])})"


def _digits(value: float) -> str:
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"


def beside_a_loop(
    name: str, loop: Callable[[], object], ours: Callable[[], object], steps: int, share: int, rounds: int
) -> Json:
    """A record of `steps` steps of ours beside a loop in torch that does a `share`-th of them."""
    timed = alternate({"loop": loop, "ours": ours}, rounds)
    timed["loop"] *= share
    return {
        "name": name,
        "steps": steps,
        "ms": {way: median_ms(seconds) for way, seconds in timed.items()},
        "ratios": {"loop / ours": ratio(timed["loop"], timed["ours"])},
    }


def square_product() -> tuple[Callable[[], object], float]:
    """A product of two square matrices by torch, float32, the fastest that this core computes, and its flops."""
    a, b, product = (torch.rand(SQUARE, SQUARE) for _ in range(3))
    return lambda: torch.mm(a, b, out=product), 2.0 * SQUARE**3
