"""What a supervisor and its runner say to each other: a job folder in, JSON lines and an exit code out.

The supervisor writes an `Assignment` line to the runner's stdin and keeps that pipe open: its end is the runner's end.
A runner for trainings does one job and ends; a light one says `Done` after each that went well, and waits for the next.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from chaos_core.errors import ChaosError, RunError, revive

JOB_FILE = "job.json"
SERIES_FILE = "series.npz"
UPLOAD_FILE = "upload"
CHECKPOINT_FILE = "checkpoint"
START_FILE = "start"
GENERATED_FILE = "generated.npz"

Json = dict[str, Any]
JobKind = Literal["train", "analyse", "ingest", "baseline", "evaluate"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Assignment(_Frozen):
    folder: str


class JobFile(_Frozen):
    kind: JobKind
    job_id: str
    seed: int = 0
    spec: Json | None = None
    plan: Json | None = None
    analysis: Json | None = None
    options: Json = {}
    start: Json | None = None
    has_checkpoint: bool = False
    checkpoint_s: float = 30.0


class Ready(_Frozen):
    type: Literal["ready"] = "ready"


class Stage(_Frozen):
    type: Literal["stage"] = "stage"
    stage: str


class AnalysisMade(_Frozen):
    type: Literal["analysis"] = "analysis"
    analysis: Json


class PlanMade(_Frozen):
    type: Literal["plan"] = "plan"
    plan: Json
    plan_hash: str
    total: int


class TrainingStarted(_Frozen):
    type: Literal["training"] = "training"
    kernel: str
    device: str
    update: int
    total: int


class Measurement(_Frozen):
    name: str
    step: int
    value: float


class Progress(_Frozen):
    type: Literal["progress"] = "progress"
    update: int
    total: int
    metrics: tuple[Measurement, ...] = ()


class ArtifactMade(_Frozen):
    type: Literal["artifact"] = "artifact"
    kind: Literal["model", "trajectory", "figure", "dataset"]
    file: str
    name: str
    media_type: str
    facts: Json = {}


class CheckpointSaved(_Frozen):
    """With the best state so far comes its model: it remains usable, however the job ends."""

    type: Literal["checkpoint"] = "checkpoint"
    file: str
    update: int
    best: bool = False
    model: ArtifactMade | None = None


class Result(_Frozen):
    type: Literal["result"] = "result"
    values: Json


class Failed(_Frozen):
    type: Literal["error"] = "error"
    problem: Json


class Done(_Frozen):
    type: Literal["done"] = "done"


Message = (
    Ready
    | Stage
    | AnalysisMade
    | PlanMade
    | TrainingStarted
    | Progress
    | ArtifactMade
    | CheckpointSaved
    | Result
    | Failed
    | Done
)

_MESSAGES: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def encode(message: Message) -> bytes:
    return message.model_dump_json().encode() + b"\n"


def decode(line: bytes) -> Message:
    return _MESSAGES.validate_json(line)


EXIT_DONE = 0
EXIT_NO_ROOM = 74
EXIT_INTERRUPTED = 75
EXIT_REFUSED = 79

EXIT_CODES: dict[str, int] = {
    "run_error": 80,
    "diverged": 81,
    "exploded": 82,
    "collapsed": 83,
    "out_of_memory": 84,
    "stalled": 85,
    "time_limit": 86,
    "checkpoint_unreadable": 87,
    "runner_crashed": 88,
    "disk_limit": 89,
    "device_unavailable": 90,
    "deadline_passed": 91,
}
"""One code per RunError; everything that blames the data or the spec ends with EXIT_REFUSED."""


def exit_code(kind: type[ChaosError]) -> int:
    return EXIT_CODES[kind.code] if issubclass(kind, RunError) else EXIT_REFUSED


def error_of_exit(code: int, **fields: Any) -> ChaosError | None:
    """The typed failure that an exit code stands for; None for a clean end and for deaths worth another attempt."""
    kinds = {number: name for name, number in EXIT_CODES.items()}
    if code == EXIT_REFUSED:
        return RunError("the runner refused the job and its reason was lost", **fields)
    if code not in kinds:
        return None
    return revive({"code": kinds[code], "detail": f"the runner ended with exit code {code}", **fields})


def describe_exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
