"""Where a training starts that goes on from another one: a trained model, or a state of its training."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt, ValidationError

from chaos_core import checkpoint
from chaos_core.auto import chosen
from chaos_core.cells import AnyCell
from chaos_core.embedding import Embedding
from chaos_core.errors import CheckpointUnreadable, Inconsistent, UnreadableFile
from chaos_core.fitted import Fitted, from_safetensors, to_safetensors
from chaos_core.initialise import layout
from chaos_core.observation import AnyObservation
from chaos_core.series import Scaling
from chaos_core.spec import Origin, Plan, Spec

__all__ = ["Parent", "Start", "agreed", "model_facts", "read_start", "start_of"]

ScalingOf = Literal["parent", "data"]
PARTS = ("cell", "observation", "embedding")


class Parent(BaseModel):
    """What is known of a parent without its parameters: enough to plan a training that starts from it.

    Args:
        kind: a trained model, or a checkpoint of a training.
        sha256: of its file.
        cell, observation, embedding: its equations, which the training keeps.
        channels: N of its data.
        dt: sampling step of its data.
        scaling: whose z-score the training works in, see `Origin`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["model", "checkpoint"]
    sha256: str
    cell: AnyCell
    observation: AnyObservation
    embedding: Embedding
    channels: PositiveInt
    dt: PositiveFloat | None
    scaling: ScalingOf = "parent"

    @classmethod
    def of_model(cls, config: Mapping[str, Any], sha256: str, scaling: ScalingOf = "parent") -> Self:
        """From `chaos_core.fitted.config`; raises Inconsistent where it is not one."""
        words = {name: config.get(name) for name in ("observation", "embedding", "channels", "dt")}
        cell = {"kind": config.get("cell"), **(config.get("settings") or {})}
        return cls._checked(kind="model", sha256=sha256, cell=cell, scaling=scaling, **words)

    @classmethod
    def of_checkpoint(cls, plan: Mapping[str, Any], sha256: str, scaling: ScalingOf = "parent") -> Self:
        """From the plan of its training as JSON; raises Inconsistent where it is not one."""
        words = {name: plan.get(name) for name in (*PARTS, "channels", "dt")}
        return cls._checked(kind="checkpoint", sha256=sha256, scaling=scaling, **words)

    @classmethod
    def _checked(cls, **words: Any) -> Self:
        try:
            return cls.model_validate(words)
        except ValidationError as refusal:
            raise Inconsistent(f"nothing can start from this {words['kind']}: its settings are not known") from refusal

    @property
    def origin(self) -> Origin:
        """What the plan remembers of it."""
        return Origin(kind=self.kind, sha256=self.sha256, scaling=self.scaling)


@dataclass(frozen=True, eq=False)
class Start:
    """A parent with its parameters.

    Args:
        parent: what it is.
        params: its parameters by name.
        scaling, input_scaling: the z-score of channels and external inputs that they were learned in.
    """

    parent: Parent
    params: Mapping[str, npt.NDArray[Any]]
    scaling: Scaling
    input_scaling: Scaling | None


def start_of(fitted: Fitted, scaling: ScalingOf = "parent") -> Start:
    """A trained model as a start, for `plan` and `fit`.

    Args:
        fitted: the trained model.
        scaling: see `chaos_core.spec.Origin`.
    """
    return _of_model(fitted, hashlib.sha256(to_safetensors(fitted)).hexdigest(), scaling)


def _of_model(fitted: Fitted, sha256: str, scaling: ScalingOf) -> Start:
    parent = Parent(
        kind="model",
        sha256=sha256,
        cell=fitted.cell,
        observation=fitted.observation,
        embedding=fitted.embedding,
        channels=fitted.channels,
        dt=fitted.dt,
        scaling=scaling,
    )
    return Start(parent, fitted.params, fitted.scaling, fitted.input_scaling)


def read_start(content: bytes, scaling: ScalingOf = "parent") -> Start:
    """Reads the file of a trained model, or a checkpoint, whose present state then is the start.

    Args:
        content: what `to_safetensors` or `Trainer.checkpoint` wrote.
        scaling: see `chaos_core.spec.Origin`.

    Raises:
        UnreadableFile: it is neither, or a checkpoint of a release that did not keep its scaling.
    """
    digest = hashlib.sha256(content).hexdigest()
    try:
        state = checkpoint.from_bytes(content)
    except CheckpointUnreadable:
        return _of_model(from_safetensors(content), digest, scaling)
    return _of_checkpoint(state, digest, scaling)


def _of_checkpoint(state: checkpoint.State, sha256: str, scaling: ScalingOf) -> Start:
    if state.model is None:
        raise UnreadableFile("the checkpoint does not hold its scaling; start from the trained model of its job")
    facts = dict(state.model)
    own, inputs = (_scaling(facts.pop(name)) for name in ("own_scaling", "input_scaling"))
    parent = Parent.of_checkpoint(facts, sha256, scaling)
    shapes = layout(parent.cell, parent.observation, parent.channels * parent.embedding.dim)
    sizes = [param.size for param in shapes.values()]
    if own is None or sum(sizes) != state.flat.size:
        raise UnreadableFile(f"the checkpoint has {state.flat.size} parameters where its cell has {sum(sizes)}")
    parts = np.split(state.flat, np.cumsum(sizes)[:-1])
    params = {name: part.reshape(param.shape) for (name, param), part in zip(shapes.items(), parts, strict=True)}
    return Start(parent, params, own, inputs)


def model_facts(plan: Plan, scaling: Scaling, input_scaling: Scaling | None) -> dict[str, Any]:
    """What a checkpoint says of the model in it, so that another training can start from it; JSON-able."""
    words = json.loads(plan.model_dump_json(include={*PARTS, "channels", "dt"}))
    inputs = None if input_scaling is None else _words(input_scaling)
    return {**words, "own_scaling": _words(scaling), "input_scaling": inputs}


def _words(scaling: Scaling) -> dict[str, list[float]]:
    return {"mean": list(scaling.mean), "std": list(scaling.std)}


def _scaling(words: Mapping[str, Any] | None) -> Scaling | None:
    return None if words is None else Scaling(tuple(words["mean"]), tuple(words["std"]))


def agreed(spec: Spec, parent: Parent, channels: int) -> Spec:
    """The spec with the parent's cell, observation and embedding, which a client may repeat but not change.

    Args:
        spec: the client's words.
        parent: what the training starts from.
        channels: of the series.

    Raises:
        Inconsistent: a setting differs from the parent's, or the series has another number of channels.
    """
    if channels != parent.channels:
        detail = f"the series has {channels} channels, and what it shall start from was trained on {parent.channels}"
        raise Inconsistent(detail, channels=channels, channels_of_parent=parent.channels)
    for part in PARTS:
        given, held = getattr(spec, part), getattr(parent, part).model_dump(mode="json")
        asked = {} if given == "auto" else chosen(given.model_dump(mode="json", exclude_unset=True))
        for name, value in asked.items():
            if value != held.get(name):
                detail = f"{part}.{name} is {value}, and that of the {parent.kind} it shall start from is "
                raise Inconsistent(f"{detail}{held.get(name)}; leave {part} out", setting=f"{part}.{name}")
    known = {part: getattr(parent, part).model_dump(mode="json") for part in PARTS}
    return Spec.model_validate({**spec.model_dump(mode="json", exclude_unset=True), **known})
