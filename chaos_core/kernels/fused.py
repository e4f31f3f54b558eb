"""The native training step for a cell, an observation and the terms of a plan; what it computes: `native.step`."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy.typing as npt

from chaos_core.cells.base import Cell
from chaos_core.losses.base import Loss
from chaos_core.native.equations import Equations
from chaos_core.native.matching import Matching
from chaos_core.native.step import NativeStep
from chaos_core.observation import AffineObservation, IdentityObservation, LinearObservation, Observation
from chaos_core.refusal import step_refusal
from chaos_core.typing import NumpyParams

__all__ = ["Matching", "NativeStep", "equations_of", "native_step"]

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
    pulls = [pull for loss in losses for pull in loss.pulls(cell)]
    return NativeStep(equations_of(cell, observation, x.shape[1]), x, params, pulls=pulls, **options)


def equations_of(cell: Cell, observation: Observation, observed: int) -> Equations:
    """What the native code must know; cell and observation must be among those that it supports.

    Raises:
        Inconsistent: the observation cannot read so many channels off the cell.
    """
    read_out = observation.parameters(cell.latent, observed)
    shapes = {name: param.shape for name, param in (cell.parameters() | read_out).items()}
    rest = cell.latent - getattr(cell, "rectified", cell.latent)
    return Equations(
        kind=getattr(cell, "kind", ""),
        shapes=shapes,
        latent=cell.latent,
        state=cell.state_size,
        observed=observed,
        inner=getattr(cell, "hidden", getattr(cell, "bases", rest)),
        inputs=cell.inputs,
        reading=_reading(observation, bool(read_out)),
        centred=getattr(cell, "centred", False),
        smoothing=getattr(cell, "smoothing", 0.0),
        limits=cell.limits(),
    )


def _reading(observation: Observation, trained: bool) -> Literal["units", "started", "linear", "affine"]:
    if isinstance(observation, LinearObservation):
        return "linear"
    if isinstance(observation, AffineObservation):
        return "affine"
    return "started" if trained else "units"
