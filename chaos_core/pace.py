"""What an update takes on this machine, and how many fit into a budget of time."""

import math
import time
from collections.abc import Sequence

import numpy as np

from chaos_core.cells import Cell
from chaos_core.forcing import Forcing
from chaos_core.initialise import draw, layout
from chaos_core.kernels.fused import native_step
from chaos_core.losses import Loss
from chaos_core.losses.jacobian import JacobianMatching
from chaos_core.native.matching import Matching
from chaos_core.observation import Observation

__all__ = ["OTHER_S", "SHARE_OF_UPDATES", "seconds_per_update", "updates_within"]

SHARE_OF_UPDATES, LEAST_SHARE = 0.95, 0.4
OTHER_S = 1.5
"""Free runs that choose the state, and the map of the data's slopes."""
SECONDS_IN_SEGMENTS, SECONDS_STEP_BY_STEP = 4e-3, 20e-3
"""Of an update by torch with windows of 100 rows."""
TRIED_S = 0.05
AT_ONCE = 4
POINTS = 256
LEAST = 100


def updates_within(budget_s: float, of_an_update: float) -> int:
    """The number of updates, to two digits, so that a machine at another hour mostly finds the same.

    Args:
        budget_s: seconds of one core, free runs that choose the state included.
        of_an_update: seconds, on this machine.
    """
    left = max(SHARE_OF_UPDATES * budget_s - OTHER_S, LEAST_SHARE * budget_s)
    found = max(float(LEAST), left / of_an_update)
    digit: int = 10 ** (int(math.log10(found)) - 1)
    return int(found) // digit * digit


def seconds_per_update(
    cell: Cell,
    observation: Observation,
    forcing: Forcing,
    losses: Sequence[Loss],
    *,
    observed: int,
    sequence_length: int,
    batch_size: int,
    native: bool,
) -> float:
    """Seconds of an update: tried natively on random data for a twentieth of a second, or from a table for torch.

    The quickest of some calls counts, since others may be at work on this machine.

    Args:
        cell, observation, forcing, losses: the parts of the plan.
        observed: N, channels that the cell sees.
        sequence_length, batch_size: T and B.
        native: whether the native step does it.
    """
    if not native:
        return (SECONDS_IN_SEGMENTS if forcing.whole_state else SECONDS_STEP_BY_STEP) * sequence_length / 100
    rng = np.random.default_rng(0)
    x = rng.standard_normal((sequence_length + batch_size + 1, observed)).astype(np.float32)
    params = draw(layout(cell, observation, observed), rng)
    matched = next((loss for loss in losses if isinstance(loss, JacobianMatching)), None)
    step = native_step(
        cell,
        x,
        params,
        observation=observation,
        losses=losses,
        u=np.zeros((len(x), cell.inputs), np.float32) if cell.inputs else None,
        matching=None if matched is None else _slopes(rng, observed),
    )
    starts = rng.integers(0, batch_size, (AT_ONCE, batch_size))
    alpha = forcing.mask(sequence_length, cell.state_size, observed, 0.0, rng)
    rows = None if matched is None else rng.integers(0, POINTS, (AT_ONCE, matched.points))
    found, began = math.inf, time.thread_time()
    while time.thread_time() - began < TRIED_S:
        before = time.thread_time()
        step.updates(starts, [alpha] * AT_ONCE, [0.0] * AT_ONCE, rows)
        found = min(found, (time.thread_time() - before) / AT_ONCE)
    return found


def _slopes(rng: np.random.Generator, observed: int) -> Matching:
    points = rng.standard_normal((POINTS, observed))
    return Matching(points, np.eye(observed) + 0.1 * rng.standard_normal((POINTS, observed, observed)), 0.1)
