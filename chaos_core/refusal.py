"""Why the native training step, or the fused scan of a GPU, cannot do a training; known without torch, for the plan."""

from collections.abc import Sequence

from chaos_core import native
from chaos_core.cells import Cell
from chaos_core.cells.dendplrnn import ClippedDendPLRNN, DendPLRNN
from chaos_core.cells.plrnn import PLRNN, MeanCentredPLRNN
from chaos_core.cells.shplrnn import ClippedShPLRNN, ShPLRNN
from chaos_core.forcing import Forcing
from chaos_core.losses import Loss
from chaos_core.losses.jacobian import JacobianMatching
from chaos_core.observation import AffineObservation, IdentityObservation, LinearObservation, Observation

__all__ = ["native_refusal", "scan_refusal", "step_refusal"]

READ_OUTS = AffineObservation, IdentityObservation, LinearObservation
DTYPES = ("float32", "float64")
WITH_HIDDEN_LAYER = ShPLRNN, ClippedShPLRNN, PLRNN, MeanCentredPLRNN, DendPLRNN, ClippedDendPLRNN
MOST_LATENT = 128
"""Of the fused scan: a state, its gradient and a tile of the weights have to stay within one multiprocessor."""


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
    reasons = (
        (forcing.target != "data", f"forcing of kind {getattr(forcing, 'kind', '')} does not force to the data"),
        (not _known(losses, cell, observation, observed), "the native training step knows no such losses"),
        (input_noise > 0, "the native training step adds no noise"),
    )
    step = step_refusal(cell, observation, observed=observed)
    return step or next((reason for applies, reason in reasons if applies), None)


def step_refusal(
    cell: Cell, observation: Observation, dtype: str = "float32", *, observed: int | None = None
) -> str | None:
    """Why `kernels.fused.native_step` does not know these equations, or None where it does.

    Any mask alpha is computed, missing entries and external inputs too.

    Args:
        cell: every one whose kind has a step in the library.
        observation: any of ours.
        dtype: "float32" or "float64"; the default is that of training.
        observed: N, the channels; None leaves the fit of channels and units unchecked.
    """
    if native.status().level is None:
        return native.status().reason
    if not native.has_step(getattr(cell, "kind", "")):
        return f"there is no native training step for the cell {type(cell).__name__}"
    if type(observation) not in READ_OUTS:
        return f"the native training step knows no {type(observation).__name__}"
    if observed is not None:
        observation.parameters(cell.latent, observed)
    return None if dtype in DTYPES else f"the native training step knows {' and '.join(DTYPES)}, not {dtype}"


def scan_refusal(cell: Cell, dtype: str) -> str | None:
    """Why the fused scan of a GPU does not know this cell, or None where it does; any mask and any drive is computed.

    Args:
        cell: shallow PLRNNs, and the PLRNNs that can be written as one.
        dtype: float32 only: GPUs for training do float64 at a fraction of the speed.
    """
    if not isinstance(cell, WITH_HIDDEN_LAYER):
        return f"the fused scan knows no {type(cell).__name__}"
    if cell.latent > MOST_LATENT:
        return f"the fused scan takes up to {MOST_LATENT} latent units, not {cell.latent}"
    return None if dtype == "float32" else f"the fused scan knows float32, not {dtype}"


def _known(losses: Sequence[Loss], cell: Cell, observation: Observation, observed: int) -> bool:
    """Terms of the parameters alone, and Jacobian matching of a cell whose whole state is observed."""
    whole = isinstance(observation, IdentityObservation) and cell.state_size == observed
    slopes = [loss for loss in losses if isinstance(loss, JacobianMatching)]
    others = [loss for loss in losses if loss not in slopes]
    return len(slopes) <= whole and all(loss.pulls(cell) for loss in others)
