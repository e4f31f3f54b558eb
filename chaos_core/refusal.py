"""Why the native training step cannot do a training; known without torch, so that a plan can reckon with it."""

from collections.abc import Sequence

from chaos_core import native
from chaos_core.cells import Cell
from chaos_core.forcing import Forcing
from chaos_core.losses import Loss
from chaos_core.observation import IdentityObservation, Observation

__all__ = ["native_refusal"]

KIND = "clipped_shplrnn"


def native_refusal(
    cell: Cell,
    observation: Observation,
    forcing: Forcing,
    losses: Sequence[Loss],
    *,
    observed: int,
    input_noise: float = 0.0,
    complete: bool = True,
) -> str | None:
    """One sentence that says why torch has to do it, or None where the native step can.

    Args:
        cell, observation, forcing, losses: the parts of the plan.
        observed: channels that the cell sees.
        input_noise: see `Training.input_noise`.
        complete: whether no entry of the data is missing.
    """
    if native.status().level is None:
        return native.status().reason
    reasons = (
        (getattr(cell, "kind", "") != KIND, f"there is no native training step for the cell {type(cell).__name__}"),
        (cell.inputs > 0, "the native training step knows no external inputs"),
        (getattr(cell, "smoothing", 0.0) > 0, "the native training step has no smooth unit"),
        (not isinstance(observation, IdentityObservation), "the native training step reads channels off the units"),
        (bool(observation.parameters(cell.latent, observed)), "hidden units start at a trained function of the data"),
        (forcing.target != "data", f"forcing of kind {getattr(forcing, 'kind', '')} does not force to the data"),
        (bool(losses), "the native training step knows the squared error alone"),
        (input_noise > 0, "the native training step adds no noise"),
        (not complete, "entries are missing"),
    )
    return next((reason for applies, reason in reasons if applies), None)
