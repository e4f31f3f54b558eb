"""A trained model as one value, and as one safetensors file that any program can read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from chaos_core.cells import AnyCell, Cell
from chaos_core.embedding import Embedding
from chaos_core.errors import Inconsistent, UnreadableFile
from chaos_core.initialise import layout
from chaos_core.observation import AnyObservation, Observation
from chaos_core.series import Scaling
from chaos_core.typing import Floats

__all__ = ["FORMAT", "Fitted", "config", "from_safetensors", "to_safetensors"]

FORMAT = "chaos-1"
_CELL: TypeAdapter[Cell] = TypeAdapter(AnyCell)
_OBSERVATION: TypeAdapter[Observation] = TypeAdapter(AnyObservation)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A cell with its parameters, and all that is needed to run it in the units of the data.

    Args:
        cell: settings of the equations.
        observation: how channels and latent units belong together.
        params: parameters of both by name, in the precision of the training (float32 unless the plan says else).
        scaling: per-channel z-score that the cell was trained in.
        embedding: delay coordinates; dim 1 where the channels are the state.
        dt: sampling step of the data, None where it is not known.
        names: N names of the channels.
        latent_start: (M,) float64, the state inferred from the first row of the test piece: where the stored
            trajectory starts.
        observation_noise: estimated standard deviation of the measuring noise of each channel, data units; empty
            where none is known. Runs are free of it; scores with `matches_noise` add it before they compare.
        input_names, input_scaling: the external inputs that drive it, and the scaling in which the cell sees them.
        lambda_per_step: largest Lyapunov exponent of the data with the ends of its interval, nats per row; None where
            they are not chaotic.
        provenance: what it came from, JSON-able: update of the checkpoint, seed, plan's digest, kernel, device, ...
    """

    cell: Cell
    observation: Observation
    params: Mapping[str, npt.NDArray[Any]]
    scaling: Scaling
    embedding: Embedding
    dt: float | None
    names: tuple[str, ...]
    latent_start: Floats
    observation_noise: tuple[float, ...] = ()
    input_names: tuple[str, ...] = ()
    input_scaling: Scaling | None = None
    lambda_per_step: tuple[float, float, float] | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """N, the number of channels of the data."""
        return len(self.names)

    @property
    def observed(self) -> int:
        """Channels that the cell sees: N times the embedding dimension."""
        return self.channels * self.embedding.dim

    def drive(self, u: Any) -> Floats | None:
        """External inputs (..., K) in data units as the cell sees them; None for an autonomous cell.

        Raises:
            Inconsistent: a driven cell without inputs, an autonomous one with them, or another number of them.
        """
        wanted = self.cell.inputs
        if u is None or not wanted:
            if (u is not None) != bool(wanted):
                detail = f"this trained model is driven by {wanted} external inputs ({', '.join(self.input_names)})"
                raise Inconsistent(f"{detail}; {'none' if u is None else 'some'} were given", inputs=wanted)
            return None
        given = np.asarray(u, np.float64)
        if given.ndim < 1 or given.shape[-1] != wanted:
            raise Inconsistent(f"inputs of shape {given.shape} where the last axis must be {wanted}", inputs=wanted)
        return given if self.input_scaling is None else self.input_scaling.apply(given)


def config(fitted: Fitted) -> dict[str, Any]:
    """All of a trained model but its tensors, as JSON; the metadata key `chaos` of its file holds the same.

    With it a reader needs numpy and `equation` alone: scale x by (x - mean) / std, infer z by `observation`, step,
    and undo the scaling of the first N observed channels (the newest ones of a delay embedding).
    """
    settings = fitted.cell.model_dump(mode="json")
    kind = settings.pop("kind")
    return {
        "format": FORMAT,
        "cell": kind,
        "settings": settings,
        "equation": fitted.cell.written(),
        "observation": fitted.observation.model_dump(mode="json"),
        "observation_equation": fitted.observation.equation,
        "scaling": {"mean": list(fitted.scaling.mean), "std": list(fitted.scaling.std)},
        "embedding": fitted.embedding.model_dump(mode="json"),
        "channels": fitted.channels,
        "names": list(fitted.names),
        "dt": fitted.dt,
        "latent_start": np.asarray(fitted.latent_start, np.float64).tolist(),
        "observation_noise": list(fitted.observation_noise),
        "inputs": _inputs(fitted),
        "data_lambda_per_step": fitted.lambda_per_step,
        "dtype": str(next(iter(fitted.params.values())).dtype),
        "provenance": fitted.provenance,
    }


def _inputs(fitted: Fitted) -> dict[str, Any]:
    scaling = fitted.input_scaling or Scaling((), ())
    return {"names": list(fitted.input_names), "mean": list(scaling.mean), "std": list(scaling.std)}


def _input_facts(facts: dict[str, Any]) -> dict[str, Any]:
    words = facts.get("inputs") or {"names": []}
    if not words["names"]:
        return {}
    return {"input_names": tuple(words["names"]), "input_scaling": Scaling(tuple(words["mean"]), tuple(words["std"]))}


def to_safetensors(fitted: Fitted) -> bytes:
    """The bytes of a .safetensors file: tensors by name, and `config` as JSON under the metadata key `chaos`."""
    tensors = {name: np.ascontiguousarray(value) for name, value in fitted.params.items()}
    text = json.dumps(config(fitted), allow_nan=False, sort_keys=True)
    return save(tensors, metadata={"chaos": text})


def from_safetensors(content: bytes) -> Fitted:
    """Reads what `to_safetensors` wrote.

    Raises:
        UnreadableFile: not a safetensors file, without the metadata key `chaos`, of another format, or with tensors
            of other names or shapes than the cell's.
    """
    try:
        params = load(content)
        facts = json.loads(_metadata(content)["chaos"])
        if facts["format"] != FORMAT:
            raise UnreadableFile(f"format '{facts['format']}' and not '{FORMAT}'", format=facts["format"])
        fitted = Fitted(
            cell=_CELL.validate_python({"kind": facts["cell"], **facts["settings"]}),
            observation=_OBSERVATION.validate_python(facts["observation"]),
            params=params,
            scaling=Scaling(tuple(facts["scaling"]["mean"]), tuple(facts["scaling"]["std"])),
            embedding=Embedding.model_validate(facts["embedding"]),
            dt=facts["dt"],
            names=tuple(facts["names"]),
            latent_start=np.asarray(facts["latent_start"], np.float64),
            observation_noise=tuple(facts["observation_noise"]),
            **_input_facts(facts),
            lambda_per_step=None if (known := facts.get("data_lambda_per_step")) is None else tuple(known),
            provenance=facts["provenance"],
        )
    except (SafetensorError, KeyError, ValueError, TypeError, ValidationError) as error:
        raise UnreadableFile(f"not a stored trained model: {error}") from error
    _check_shapes(fitted)
    return fitted


def _metadata(content: bytes) -> dict[str, str]:
    """The header's free text: eight bytes of length, then JSON."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return cast(dict[str, str], header.get("__metadata__", {}))


def _check_shapes(fitted: Fitted) -> None:
    wanted = layout(fitted.cell, fitted.observation, fitted.observed)
    shapes = {name: param.shape for name, param in wanted.items()}
    found = {name: value.shape for name, value in fitted.params.items()}
    if shapes != found:
        raise UnreadableFile(f"tensors {found} where the cell has {shapes}")
    if fitted.latent_start.shape != (fitted.cell.state_size,):
        raise UnreadableFile(
            f"a start of shape {fitted.latent_start.shape} for a state of {fitted.cell.state_size} numbers"
        )
