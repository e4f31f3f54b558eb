"""Cells and observations as the native code takes them."""

from dataclasses import replace
from typing import Literal

from chaos_core.cells import Cell
from chaos_core.native import Equations
from chaos_core.observation import AffineObservation, LinearObservation, Observation

__all__ = ["equations_of", "free_equations"]


def free_equations(cell: Cell) -> Equations:
    """A cell that runs freely: without observation, and with external inputs that somebody else turns into a drive."""
    return Equations(
        kind=getattr(cell, "kind", ""),
        shapes={name: param.shape for name, param in cell.weights().items()},
        latent=cell.latent,
        state=cell.state_size,
        observed=cell.latent,
        inner=next((getattr(cell, name) for name in ("hidden", "bases", "rectified") if hasattr(cell, name)), 0),
        drive_width=cell.drive_width,
        centred=getattr(cell, "centred", False),
        smoothing=getattr(cell, "smoothing", 0.0),
        limits=cell.limits(),
    )


def equations_of(cell: Cell, observation: Observation, observed: int) -> Equations:
    """A cell that is trained.

    Args:
        cell: the equations.
        observation: how channels are read off it, one of ours.
        observed: N, the channels.

    Raises:
        Inconsistent: the observation cannot read so many channels off the cell.
    """
    read_out = observation.parameters(cell.latent, observed)
    shapes = {name: param.shape for name, param in (cell.parameters() | read_out).items()}
    reading = _reading(observation, bool(read_out))
    return replace(free_equations(cell), shapes=shapes, observed=observed, inputs=cell.inputs, reading=reading)


def _reading(observation: Observation, trained: bool) -> Literal["units", "started", "linear", "affine"]:
    if isinstance(observation, LinearObservation):
        return "linear"
    if isinstance(observation, AffineObservation):
        return "affine"
    return "started" if trained else "units"
