"""What a client asks for (Spec) and what will be done (Plan): the same parts, with and without the word "auto"."""

import hashlib
import json
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from chaos_core.auto import auto_variant
from chaos_core.baselines import AnyBaseline
from chaos_core.cells import AnyCell, AnyCellSpec
from chaos_core.embedding import Embedding
from chaos_core.forcing import AnyForcing, AnyForcingSpec
from chaos_core.losses import AnyLoss, AnyLossSpec
from chaos_core.metrics.presets import PresetName
from chaos_core.observation import AnyObservation

__all__ = [
    "BaselineSpec",
    "Device",
    "Evaluation",
    "Interval",
    "Optimiser",
    "Origin",
    "Plan",
    "Precision",
    "Schedule",
    "Spec",
    "Split",
    "Training",
]

MOST_UPDATES = 5_000_000
LONGEST_SEQUENCE = 10_000
LARGEST_BATCH = 4096


class Optimiser(StrEnum):
    """Who turns gradients into updates; all as in torch.optim with its default betas and eps."""

    ADAM = "adam"
    ADAMW = "adamw"
    RADAM = "radam"


class Schedule(StrEnum):
    """How the learning rate goes from `learning_rate` to `learning_rate_end`; "late" falls in the last quarter only."""

    CONSTANT = "constant"
    LATE = "late"
    EXPONENTIAL = "exponential"
    COSINE = "cosine"


class Precision(StrEnum):
    """Number type of training and of the saved weights; analysis, free runs and scores are always float64."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"


class Device(StrEnum):
    """Where the training runs. "auto" is decided when it starts: CUDA if it is there, else the CPU."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Settings(BaseModel):
    """Frozen; a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Training(Settings):
    """How the parameters are found.

    Args:
        updates: optimiser steps in all. The learning rate and the forcing interval follow the share that is done.
        budget_s: seconds of one core that the training shall take, choice of the state included; the plan then has as
            many updates as fit on this machine, and no restarts. A word of the client's alone: not beside `updates`,
            and null in a plan.
        sequence_length: T, steps of a training window; a window takes T + 1 rows.
        batch_size: B, windows per update, drawn with replacement from all complete windows.
        optimiser, learning_rate, learning_rate_end, schedule: see the enumerations; the rate in [0, 1].
        weight_decay: pull of all parameters towards zero: added to the gradient, or with adamw to the update.
        input_noise: standard deviation of normal noise that is added to the data a state is inferred from, in scaled
            units; targets stay as they are. Brenner et al. (2022) use 0.05.
        clip_norm: gradients are scaled down to this 2-norm; null or 0 leaves them as they are.
        validations: how often a checkpoint is judged by free runs, evenly spread over the run. Neighbouring states of
            one training differ much (D_stsp 0.5 and 8): 32 looks find a better one than 16, for a second more; fewer
            are planned above 35 000 rows of training.
        restarts: how often the training may begin anew, from new start values, where its best state is not good: no
            state lives, or its score (`Judgement.score`) is above 0.85 and above 2.5 times the floor of D_stsp. The
            best state of all attempts is kept. With generalized forcing and noise one start in six leads nowhere.
        dtype: see `Precision`.
        device: see `Device`.
    """

    updates: int = Field(ge=1, le=MOST_UPDATES, description="Optimiser steps in all.")
    budget_s: PositiveFloat | None = Field(None, description="Seconds of one core; decides the updates.")
    sequence_length: int = Field(ge=1, le=LONGEST_SEQUENCE, description="T, steps of a training window.")
    batch_size: int = Field(ge=1, le=LARGEST_BATCH, description="B, windows per update.")
    optimiser: Optimiser
    learning_rate: float = Field(gt=0, le=1, description="Learning rate at the first update.")
    learning_rate_end: float = Field(gt=0, le=1, description="Learning rate at the last update.")
    schedule: Schedule
    weight_decay: float = Field(0.0, ge=0, le=1, description="Pull of all parameters towards zero.")
    input_noise: float = Field(0.0, ge=0, le=10, description="Noise on the data that force the state, scaled units.")
    clip_norm: NonNegativeFloat | None = Field(description="Largest 2-norm of a gradient; null or 0: no clipping.")
    validations: int = Field(ge=1, le=1000, description="How often free runs judge the state of the training.")
    restarts: int = Field(ge=0, le=20, description="New starts where the best state is not good.")
    dtype: Precision
    device: Device


class Evaluation(Settings):
    """How free runs are judged, during the training and at its end.

    Args:
        preset: settings of the metrics, see `chaos_core.metrics.PRESETS`.
        prediction_steps: n of PE(n); 20 as in the published tables.
        run_factor: length of a free run over the length of the test piece; 1.25 as Hess et al. (2023). Runs that choose
            a state have 25 000 steps at most.
        discard_share: first share of each free run that is dropped as transient; 0.2 leaves the test's length.
        starts: free runs per validation, from states spread over the validation piece. One run is not enough: there
            are models that follow the attractor for 20 000 steps and leave it within 125 000.
        confirming_starts: further runs that a state must pass to become the best.
    """

    preset: PresetName = "dsr-v1"
    prediction_steps: int = Field(20, ge=1, le=10_000)
    run_factor: float = Field(1.25, ge=1, le=20)
    discard_share: float = Field(0.2, ge=0, le=0.9)
    starts: int = Field(4, ge=1, le=64)
    confirming_starts: int = Field(12, ge=0, le=64)


class Split(Settings):
    """Shares of the series, in order of time: fitted on, used to choose the checkpoint, scored on."""

    train: float = Field(0.7, gt=0, le=1)
    validation: float = Field(0.1, ge=0, lt=1)
    test: float = Field(0.2, ge=0, lt=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(self.train + self.validation + self.test - 1.0) > 1e-6:
            raise ValueError("train, validation and test must add up to 1")
        return self


class Interval(Settings):
    """Where the forcing interval comes from.

    Args:
        predictability_time_steps: ln 2 / lambda_max of the analysis, steps; None where the data are not chaotic.
        factor: tau over that time; None where tau does not come from it.
        tau: interval at the end of the training, steps; None for schemes without one.
        source: "lambda_max", "fallback" (autocorrelation or mutual information), "client", or "none".
        schedule: the interval's course in words.
        why: the reason for all this in a sentence.
    """

    predictability_time_steps: PositiveFloat | None
    factor: PositiveFloat | None
    tau: PositiveInt | None
    source: Literal["lambda_max", "fallback", "client", "none"]
    schedule: str
    why: str


class Origin(Settings):
    """What a training started from that did not start afresh.

    Args:
        kind: a trained model, or a checkpoint of a training.
        sha256: of its file.
        scaling: "parent": data are scaled as the parent's were, since its parameters were learned in those units;
            "data": by the mean and deviation of the new training piece, for a recording of the same system in other
            units.
    """

    kind: Literal["model", "checkpoint"]
    sha256: str
    scaling: Literal["parent", "data"] = "parent"


if TYPE_CHECKING:
    TrainingSpec: TypeAlias = BaseModel
    EvaluationSpec: TypeAlias = BaseModel
    EmbeddingSpec: TypeAlias = BaseModel
else:
    TrainingSpec = auto_variant(Training)
    EvaluationSpec = auto_variant(Evaluation)
    EmbeddingSpec = auto_variant(Embedding)

Auto: TypeAlias = Literal["auto"]


class Spec(Settings):
    """A client's order. Each part, and each field of a part, may be "auto" or left out; `{}` is all auto.

    Args:
        cell: the equations; auto: `clipped_shplrnn`.
        observation: how channels and latent units belong together; auto: identity where there are as many.
        forcing: how data enter the state; auto: sparse, from 2 up to the cell's part of ln 2 / lambda_max.
        training, evaluation: see `Training`, `Evaluation`.
        embedding: delay coordinates; auto: as the analysis finds.
        losses: terms beside the mean squared error; auto: those that the cell suggests (`Cell.suggested_losses`) where
            the channels are its whole state and the data are chaotic with a well-known exponent, else none.
        split: 70 % train, 10 % validation, 20 % test where left out.
    """

    cell: AnyCellSpec | Auto = "auto"
    observation: AnyObservation | Auto = "auto"
    forcing: AnyForcingSpec | Auto = "auto"
    training: TrainingSpec | Auto = "auto"
    evaluation: EvaluationSpec | Auto = "auto"
    embedding: EmbeddingSpec | Auto = "auto"
    losses: tuple[AnyLossSpec, ...] | Auto = "auto"
    split: Split | Auto = "auto"


class BaselineSpec(Settings):
    """An order for a baseline, which is fitted and scored as a trained model would be.

    Args:
        baseline: kind and settings.
        evaluation: how its free run is judged.
        embedding: delay coordinates for baselines without a memory of their own, and for D_stsp.
        split: it learns from the training and the validation piece and is scored on the test piece.
    """

    baseline: AnyBaseline
    evaluation: Evaluation = Evaluation()
    embedding: Embedding = Embedding()
    split: Split = Split()


class Plan(Settings):
    """A Spec with every "auto" filled in from the analysis: training is a function of (series, Plan, seed) alone.

    Args:
        cell, observation, forcing, training, evaluation, embedding, losses, split: concrete settings.
        channels: N of the series.
        dt: sampling step, None where it is not known.
        names: names of the channels.
        input_names: names of the external inputs.
        lambda_per_step: the data's largest exponent and the ends of its interval, nats per row, where they are chaotic.
        noise: estimated standard deviation of the measuring noise of each channel, in data units; empty: none known.
            Free runs have none, so presets with `matches_noise` add it before they compare.
        start: what the training starts from; None: from start values that it draws.
        interval: where the forcing interval comes from.
        notes: what the planner wants the reader to know, one sentence each.
    """

    cell: AnyCell
    observation: AnyObservation
    forcing: AnyForcing
    training: Training
    evaluation: Evaluation
    embedding: Embedding
    losses: tuple[AnyLoss, ...] = ()
    split: Split
    channels: PositiveInt
    dt: PositiveFloat | None
    names: tuple[str, ...]
    input_names: tuple[str, ...] = ()
    lambda_per_step: tuple[float, float, float] | None = None
    noise: tuple[NonNegativeFloat, ...] = ()
    start: Origin | None = None
    interval: Interval
    notes: tuple[str, ...] = ()

    @property
    def observed(self) -> int:
        """Channels that the cell sees: N times the embedding dimension."""
        return self.channels * self.embedding.dim

    def digest(self) -> str:
        """sha256 of the canonical JSON of all that the training depends on (not of the sentences)."""
        unsaid = {"start"} if self.start is None else set()
        facts = self.model_dump(mode="json", exclude={"notes", "interval"} | unsaid)
        canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()
