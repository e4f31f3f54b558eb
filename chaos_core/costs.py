"""What a training will take: parameters, memory, seconds; from its plan and from trainings like it."""

import math
import statistics
from collections.abc import Sequence
from typing import Literal, NamedTuple

from chaos_core.engine import why_torch
from chaos_core.initialise import layout
from chaos_core.pace import OTHER_S, SHARE_OF_UPDATES, seconds_per_update
from chaos_core.spec import Plan, Precision

__all__ = ["PastRun", "Seconds", "memory_bytes", "parameter_count", "seconds"]

MIB = 1024 * 1024
NATIVE_BYTES, TORCH_BYTES = 160 * MIB, 430 * MIB
"""Peak of a runner that trains next to nothing, measured: the interpreter with all that it loads, and an analysis."""
SERIES_COPIES = 12
"""Peak over the series' own bytes, measured with 400 000 rows of three channels."""
STATE_COPIES, WEIGHT_COPIES = 6, 8
NEAREST = 5


class PastRun(NamedTuple):
    """A training that was done in one go: seconds to its first update, seconds from there to its end, its size."""

    start_s: float
    rest_s: float
    updates: int
    sequence_length: int
    batch_size: int
    parameters: int

    def work(self) -> float:
        return float(self.updates) * self.sequence_length * self.batch_size * self.parameters


class Seconds(NamedTuple):
    """An estimate with its ends, from `runs` trainings of the same kind, or where there are none otherwise."""

    value: float
    low: float
    high: float
    source: Literal["history", "trial", "table"]
    runs: int


def parameter_count(plan: Plan) -> int:
    """Trained numbers of cell and read-out."""
    return sum(param.size for param in layout(plan.cell, plan.observation, plan.observed).values())


def memory_bytes(plan: Plan, rows: int) -> int:
    """Peak resident memory of the process that trains, roughly: half or twice as much can happen.

    Args:
        plan: of the training.
        rows: of the whole series.
    """
    size = 8 if plan.training.dtype is Precision.FLOAT64 else 4
    units = plan.cell.state_size + getattr(plan.cell, "hidden", 0) + plan.observed
    states = plan.training.batch_size * plan.training.sequence_length * units
    base = TORCH_BYTES if why_torch(plan) else NATIVE_BYTES
    series = SERIES_COPIES * 8 * rows * (plan.observed + len(plan.input_names))
    return base + series + size * (STATE_COPIES * states + WEIGHT_COPIES * parameter_count(plan))


def seconds(plan: Plan, past: Sequence[PastRun]) -> Seconds:
    """How long the training takes, free runs and scores included, new starts (`restarts`) left out.

    Of past trainings of the same kind the five whose work (updates x rows x windows x parameters) is nearest count,
    each scaled by the work: the median, with the least and the most as ends. Without one the native step is tried for
    a twentieth of a second; where torch has to do it, a table tells.

    Args:
        plan: of the training.
        past: trainings of cells of this kind by the same kernel on the same kind of device.
    """
    training = plan.training
    mine = PastRun(
        0.0, 0.0, training.updates, training.sequence_length, training.batch_size, parameter_count(plan)
    ).work()
    if past:
        nearest = sorted(past, key=lambda run: abs(math.log(run.work() / mine)))[:NEAREST]
        found = [run.start_s + run.rest_s * mine / run.work() for run in nearest]
        return Seconds(statistics.median(found), min(found), max(found), "history", len(found))
    native = why_torch(plan) is None
    of_an_update = seconds_per_update(
        plan.cell,
        plan.observation,
        plan.forcing,
        plan.losses,
        observed=plan.observed,
        sequence_length=training.sequence_length,
        batch_size=training.batch_size,
        native=native,
    )
    value = training.updates * of_an_update / SHARE_OF_UPDATES + OTHER_S
    return (
        Seconds(value, value / 2, value * 2, "trial", 0) if native else Seconds(value, value / 5, value * 5, "table", 0)
    )
