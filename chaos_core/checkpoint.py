"""The state of a training as bytes: enough to go on as if nothing had happened, to the last bit on a CPU."""

import json
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from chaos_core.errors import CheckpointUnreadable

__all__ = ["Best", "State", "from_bytes", "to_bytes"]

FORMAT = "chaos-checkpoint-1"
Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Best:
    """The best living state so far: its parameters, flat, and what free runs said about it."""

    flat: Array
    update: int
    d_stsp: float
    d_h: float
    score: float


@dataclass(frozen=True, eq=False)
class State:
    """A training between two updates.

    Args:
        plan: digest of the plan, and of the series that it is trained on; a state belongs to one pair only.
        seed: of the run.
        update: updates done.
        judged: the update that free runs judged last, 0 before the first, -1 where the start itself is still to be
            judged; one that is due at `update` may be open.
        attempt: how often the training began anew before.
        flat, first_moment, second_moment: parameters and optimiser, each one flat array.
        generator: state of the numpy generator that draws the batches.
        best: the best living state so far, None where none lived.
        fate: what the last judged free run did, None before the first; decides the verdict at the end.
        forcing: settings of a scheme that adapts, as they are now; None where the plan's still hold.
        clipped: updates whose gradient was clipped.
        died: the first judged update since when no state lived; None while the last one lives.
        model: what the parameters belong to, so that another training can start from them: `start.model_facts`.
    """

    plan: str
    series: str
    seed: int
    update: int
    attempt: int
    judged: int
    flat: Array
    first_moment: Array
    second_moment: Array
    generator: dict[str, Any]
    best: Best | None
    fate: str | None
    forcing: dict[str, Any] | None = None
    clipped: int = 0
    died: int | None = None
    model: dict[str, Any] | None = None


def to_bytes(state: State) -> bytes:
    """The state as a safetensors file whose metadata key `chaos` holds all that is no array."""
    tensors = {"flat": state.flat, "first_moment": state.first_moment, "second_moment": state.second_moment}
    best: dict[str, Any] | None = None
    if state.best is not None:
        tensors["best"] = state.best.flat
        best = {name: getattr(state.best, name) for name in ("update", "d_stsp", "d_h", "score")}
    names = [field.name for field in fields(State) if field.name not in ("best", *tensors)]
    words = {name: getattr(state, name) for name in names}
    facts = {"format": FORMAT, "best": best, **words}
    copies = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    return save(copies, metadata={"chaos": json.dumps(facts)})


def from_bytes(content: bytes) -> State:
    """Reads what `to_bytes` wrote.

    Raises:
        CheckpointUnreadable: damaged, or something else.
    """
    try:
        arrays: dict[str, Any] = load(content)
        length = int.from_bytes(content[:8], "little")
        facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["chaos"])
        if facts.pop("format") != FORMAT:
            raise CheckpointUnreadable("the checkpoint is of another format")
        words = facts.pop("best")
        best = None if words is None else Best(flat=arrays.pop("best"), **words)
        return State(best=best, **arrays, **facts)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise CheckpointUnreadable(f"not a checkpoint: {error}") from error
