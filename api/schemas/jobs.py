from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from chaos_core.spec import Spec
from chaos_store.states import Kind, State
from chaos_store.tables import Checkpoint, Job, JobEvent

from .problem import StoredProblem
from .resource import Body, Json, Moment, Resource, Text
from .starts import StartFrom, StartOut

EXAMPLES: list[JsonValue] = [
    {"dataset_id": "ds_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"},
    {
        "dataset_id": "ds_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e",
        "spec": {
            "cell": {"kind": "clipped_shplrnn", "latent": 3, "hidden": 50},
            "forcing": {"kind": "generalized", "alpha": 0.1},
            "training": {"updates": 15000},
        },
        "seed": 1,
        "labels": {"experiment": "alpha"},
        "limits": {"wall_s": 3600},
    },
    {
        "dataset_id": "ds_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e",
        "start_from": {"model_id": "mdl_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"},
        "spec": {"training": {"updates": 2000}},
    },
]
Priority = Annotated[int, Field(ge=-100, le=100, description="higher is started first; equals by age")]
Deadline = Annotated[
    Moment | None,
    Field(description="RFC 3339; a job that is not done by then fails with `deadline_passed`"),
]
LabelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


STATES = (
    "`queued` waits for a worker; `running`; `pausing` saves itself and stops; `paused` waits for `resume`; "
    "`cancelling` stops; `succeeded`, `failed` (see `error`) and `cancelled` are the ends, and `retry` queues the last "
    "two again"
)


class JobLimits(Body):
    """What one job may take at most: where it is left out or above the service's own limit, that one holds."""

    wall_s: float | None = Field(None, gt=0, allow_inf_nan=False, description="seconds from its start to its end")
    memory_bytes: int | None = Field(None, gt=0, lt=2**63, description="resident memory of its processes")
    stall_s: float | None = Field(None, gt=0, allow_inf_nan=False, description="seconds without progress")
    disk_bytes: int | None = Field(None, gt=0, lt=2**63, description="scratch files")


class JobCreate(Body):
    model_config = ConfigDict(json_schema_extra={"examples": EXAMPLES})

    dataset_id: Text
    spec: Spec = Field(
        default_factory=Spec,
        description="what to train; each part may be `auto` or left out, `{}` takes everything from the analysis",
    )
    seed: int = Field(0, ge=0, lt=2**63)
    labels: dict[LabelName, Text] = Field({}, max_length=32)
    analysis_id: Text | None = Field(None, description="take this analysis instead of making one")
    start_from: StartFrom | None = Field(None, description="go on from another training; left out: start afresh")
    priority: Priority = 0
    deadline: Deadline = None
    limits: JobLimits = Field(
        default_factory=JobLimits,
        description="narrower than the `job_` limits of GET /v1/limits, which hold in any case",
    )


class JobUpdate(Body):
    """What is left out stays as it is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"labels": {"experiment": "alpha", "draft": None}, "priority": 5}]}
    )

    labels: dict[LabelName, Text | None] = Field({}, max_length=32, description="null takes a label away; others stay")
    priority: Priority = 0
    deadline: Deadline = None

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("give labels, priority or deadline")
        return self


class JobClone(Body):
    """What is left out is as in the job that is cloned."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"spec": {"training": {"updates": 60000}}, "seed": 2, "labels": {"try": "2"}}]}
    )

    dataset_id: Text | None = None
    spec: dict[str, JsonValue] = Field(
        {},
        description="a JSON merge patch (RFC 7396) of the spec: null takes a setting away; where `kind` changes, the "
        "settings of the former kind go too",
    )
    seed: int | None = Field(None, ge=0, lt=2**63)
    labels: dict[LabelName, Text | None] = Field({}, max_length=32, description="null takes a label away; others stay")
    limits: JobLimits | None = None
    start_from: StartFrom | None = Field(None, description="another start; null: afresh; left out: the same start")
    priority: Priority | None = None
    deadline: Deadline = Field(None, description="RFC 3339; none where left out")


class JobRetry(Body):
    model_config = ConfigDict(json_schema_extra={"examples": [{"from": "checkpoint"}, {"from": "start"}]})

    origin: Literal["checkpoint", "start"] = Field(
        "checkpoint", alias="from", description="`checkpoint`: the newest one, the start where there is none"
    )


class JobProgress(BaseModel):
    update: int | None
    total: int | None


class ScoreOut(BaseModel):
    model_config = ConfigDict(extra="allow")

    value: float | None = Field(description="null where undefined; `reason` says why")
    floor: float | None = Field(description="the same metric between the two halves of the true series")
    reason: str | None = None


class JobLinks(BaseModel):
    self: str
    dataset: str
    events: str
    logs: str
    metrics: str
    artifacts: str
    archive: str
    checkpoints: str
    cancel: str
    pause: str
    resume: str
    retry: str
    clone: str
    model: str | None
    analysis: str | None
    trajectory: str | None


class JobOut(Resource):
    id: str = Field(examples=["job_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["job"] = "job"
    kind: Kind
    status: State = Field(description=STATES)
    dataset_id: str
    analysis_id: str | None
    seed: int
    spec: Json
    plan: Json | None = Field(description="the spec with every `auto` filled, frozen before the first update")
    plan_hash: str | None
    start_from: StartOut | None = Field(description="null: it started afresh")
    labels: dict[str, str]
    limits: JobLimits
    priority: int
    deadline: datetime | None
    stage: str | None
    progress: JobProgress
    kernel: str | None
    device: str | None
    attempt: int
    checkpoint_update: int | None = Field(description="update of the newest checkpoint: from there the job goes on")
    scores: dict[str, ScoreOut | None] | None = Field(
        description="on the test piece: `d_stsp`, `d_h`, `prediction_error`, ..."
    )
    baselines: Json | None
    model_id: str | None
    trajectory_id: str | None
    error: StoredProblem | None
    created_at: datetime
    started_at: datetime | None
    first_step_at: datetime | None
    finished_at: datetime | None
    links: JobLinks

    @classmethod
    def of(cls, row: Job, trajectory_id: str | None) -> Self:
        return cls.model_validate(
            cls.facts(row)
            | {"progress": JobProgress(update=row.progress_update, total=row.progress_total)}
            | {"trajectory_id": trajectory_id}
            | {"start_from": StartOut.of(row.start) if row.start else None}
            | {"error": StoredProblem.of(row.error) if row.error else None}
            | {"links": _links(row, trajectory_id)}
        )


def _links(row: Job, trajectory_id: str | None) -> JobLinks:
    own = f"/v1/jobs/{row.id}"
    return JobLinks(
        self=own,
        dataset=f"/v1/datasets/{row.dataset_id}",
        events=f"{own}/events",
        logs=f"{own}/logs",
        metrics=f"{own}/metrics",
        artifacts=f"{own}/artifacts",
        archive=f"{own}/archive.zip",
        checkpoints=f"{own}/checkpoints",
        cancel=f"{own}/cancel",
        pause=f"{own}/pause",
        resume=f"{own}/resume",
        retry=f"{own}/retry",
        clone=f"{own}/clone",
        model=f"/v1/models/{row.model_id}" if row.model_id else None,
        analysis=f"/v1/analyses/{row.analysis_id}" if row.analysis_id else None,
        trajectory=f"/v1/trajectories/{trajectory_id}" if trajectory_id else None,
    )


class CheckpointOut(Resource):
    id: str = Field(examples=["ckpt_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["checkpoint"] = "checkpoint"
    job_id: str
    update: int
    best: bool = Field(description="holds the best state found so far")
    damaged: bool = Field(description="did not verify when it was to be used; the one before was taken")
    sha256: str
    size_bytes: int
    created_at: datetime

    @classmethod
    def of(cls, row: Checkpoint) -> Self:
        return cls.model_validate(cls.facts(row) | {"size_bytes": row.size, "damaged": row.damaged_at is not None})


class EventOut(Resource):
    seq: int
    object: Literal["event"] = "event"
    type: str = Field(examples=["status"])
    data: Json
    created_at: datetime

    @classmethod
    def of(cls, row: JobEvent) -> Self:
        return cls.model_validate(cls.facts(row))


class MetricSeries(BaseModel):
    step: list[int] = []
    value: list[float | None] = []
    wall: list[float] = Field([], description="seconds since 1970")


class MetricsOut(BaseModel):
    object: Literal["metrics"] = "metrics"
    job_id: str
    metrics: dict[str, MetricSeries] = Field(examples=[{"loss": {"step": [100], "value": [0.2], "wall": [1.7e9]}}])

    @classmethod
    def of(cls, job_id: str, rows: Iterable[Sequence[Any]]) -> Self:
        """Of rows (name, step, value, wall)."""
        found: dict[str, MetricSeries] = {}
        for name, step, value, wall in rows:
            series = found.setdefault(name, MetricSeries(step=[], value=[], wall=[]))
            series.step.append(step)
            series.value.append(value)
            series.wall.append(wall)
        return cls(job_id=job_id, metrics=found)
