"""Why the native training step cannot do a training; known without torch, so that a plan can reckon with it."""

from collections.abc import Sequence

from chaos_core import native
from chaos_core.cells import Cell
from chaos_core.forcing import Forcing
from chaos_core.losses import Loss
from chaos_core.losses.jacobian import JacobianMatching
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
) -> str | None:
    """One sentence that says why torch has to do it, or None where the native step can.

    Args:
        cell, observation, forcing, losses: the parts of the plan.
        observed: channels that the cell sees.
        input_noise: see `Training.input_noise`.
    """
    if native.status().level is None:
        return native.status().reason
    reasons = (
        (getattr(cell, "kind", "") != KIND, f"there is no native training step for the cell {type(cell).__name__}"),
        (cell.inputs > 0, "the native training step knows no external inputs"),
        (not isinstance(observation, IdentityObservation), "the native training step reads channels off the units"),
        (bool(observation.parameters(cell.latent, observed)), "hidden units start at a trained function of the data"),
        (forcing.target != "data", f"forcing of kind {getattr(forcing, 'kind', '')} does not force to the data"),
        (not _known(losses, cell, observed), "the native training step knows no such losses"),
        (input_noise > 0, "the native training step adds no noise"),
    )
    return next((reason for applies, reason in reasons if applies), None)


def _known(losses: Sequence[Loss], cell: Cell, observed: int) -> bool:
    """None at all, or Jacobian matching of a cell without hidden units."""
    return not losses or (len(losses) == 1 and isinstance(losses[0], JacobianMatching) and cell.latent == observed)
