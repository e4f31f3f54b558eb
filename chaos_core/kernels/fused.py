"""The native training step for a cell, an observation and the terms of a plan; what it computes: `native.step`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy.typing as npt

from chaos_core.cells.base import Cell
from chaos_core.equations import equations_of
from chaos_core.losses.base import Loss
from chaos_core.native.step import NativeStep
from chaos_core.observation import IdentityObservation, Observation
from chaos_core.refusal import step_refusal
from chaos_core.typing import NumpyParams

__all__ = ["native_step"]

ZERO_START = IdentityObservation(hidden_start="zeros")


def native_step(
    cell: Cell,
    x: npt.NDArray[Any],
    params: NumpyParams,
    *,
    observation: Observation = ZERO_START,
    losses: Sequence[Loss] = (),
    **options: Any,
) -> NativeStep:
    """The native training of a cell on a series.

    Args:
        cell: the equations.
        x: (rows, N) the series.
        params: start values by name; the observation's among them.
        observation: how channels are read off the state; by default the first units, the others starting at zero.
        losses: terms of the parameters alone (`Loss.pulls`).
        options: the keywords of `NativeStep`.

    Returns:
        The training, before its first update.

    Raises:
        ValueError: the native code does not support this, or a shape does not fit.
    """
    refusal = step_refusal(cell, observation, str(x.dtype))
    if refusal is not None:
        raise ValueError(refusal)
    if x.ndim != 2:
        raise ValueError(f"x must be (rows, N), got {x.shape}")
    pulls = [replace(pull, weight=loss.weight * pull.weight) for loss in losses for pull in loss.pulls(cell)]
    return NativeStep(equations_of(cell, observation, x.shape[1]), x, params, pulls=pulls, **options)
