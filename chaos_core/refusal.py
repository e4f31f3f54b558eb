"""Why the native training step cannot do a training; known without torch, so that a plan can reckon with it."""

from collections.abc import Sequence

from chaos_core import native
from chaos_core.cells import Cell
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.forcing import Forcing
from chaos_core.losses import Loss
from chaos_core.losses.jacobian import JacobianMatching
from chaos_core.observation import IdentityObservation, Observation

__all__ = ["NATIVE_CELL", "native_refusal", "step_refusal"]

NATIVE_CELL = ClippedShPLRNN
DTYPES = ("float32", "float64")


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
        (not _known(losses, cell, observed), "the native training step knows no such losses"),
        (input_noise > 0, "the native training step adds no noise"),
    )
    step = step_refusal(cell, observation, observed=observed)
    return step or next((reason for applies, reason in reasons if applies), None)


def step_refusal(
    cell: Cell, observation: Observation, dtype: str = "float32", *, observed: int | None = None
) -> str | None:
    """Why `kernels.fused.NativeStep` does not know these equations, or None where it does.

    Any mask alpha (T, M) is computed, also on hidden units.

    Args:
        cell: only the clipped shallow PLRNN without external inputs has native code.
        observation: only the identity; the pseudo-inverse of a trained matrix is left to torch, and so are hidden
            units that start at a trained function of the data.
        dtype: "float32" or "float64"; the default is that of training.
        observed: N, the channels; None takes N = M, where no unit is hidden.
    """
    if native.status().level is None:
        return native.status().reason
    channels = cell.latent if observed is None else observed
    reasons = (
        (not isinstance(cell, NATIVE_CELL), f"there is no native training step for the cell {type(cell).__name__}"),
        (cell.inputs > 0, "the native training step knows no external inputs"),
        (
            not isinstance(observation, IdentityObservation),
            f"the native training step reads the channels off the latent units, without {type(observation).__name__}",
        ),
        (
            bool(observation.parameters(cell.latent, channels)),
            "the native training step starts hidden units at zero, not at a trained function of the data",
        ),
        (dtype not in DTYPES, f"the native training step knows {' and '.join(DTYPES)}, not {dtype}"),
    )
    return next((reason for applies, reason in reasons if applies), None)


def _known(losses: Sequence[Loss], cell: Cell, observed: int) -> bool:
    """None at all, or Jacobian matching of a cell without hidden units."""
    return not losses or (len(losses) == 1 and isinstance(losses[0], JacobianMatching) and cell.latent == observed)
