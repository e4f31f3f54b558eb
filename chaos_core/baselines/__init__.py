"""Cheap generators that every trained model has to beat, by name."""

from collections.abc import Callable

from chaos_core.baselines.parroting import parrot, parrot_ahead
from chaos_core.typing import Floats

__all__ = ["BASELINES", "parrot", "parrot_ahead"]

BASELINES: dict[str, Callable[[Floats, int], Floats]] = {"parroting": parrot}
"""Each takes a context (T, N) and a number of steps, and continues the context: (steps, N)."""
