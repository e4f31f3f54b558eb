from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from chaos_core.spec import Spec
from chaos_store.states import Kind, State
from chaos_store.tables import Job, JobEvent, Metric

from .problem import StoredProblem
from .resource import Body, Json, Resource, Text

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
    },
]
LabelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


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
    metrics: str
    artifacts: str
    cancel: str
    model: str | None
    analysis: str | None
    trajectory: str | None


class JobOut(Resource):
    id: str = Field(examples=["job_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["job"] = "job"
    kind: Kind
    status: State
    dataset_id: str
    analysis_id: str | None
    seed: int
    spec: Json
    plan: Json | None = Field(description="the spec with every `auto` filled, frozen before the first update")
    plan_hash: str | None
    labels: dict[str, str]
    stage: str | None
    progress: JobProgress
    kernel: str | None
    device: str | None
    attempt: int
    scores: dict[str, ScoreOut] | None = Field(description="`d_stsp`, `d_h`, `prediction_error` on the test piece")
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
            | {"error": StoredProblem.of(row.error) if row.error else None}
            | {"links": _links(row, trajectory_id)}
        )


def _links(row: Job, trajectory_id: str | None) -> JobLinks:
    own = f"/v1/jobs/{row.id}"
    return JobLinks(
        self=own,
        dataset=f"/v1/datasets/{row.dataset_id}",
        events=f"{own}/events",
        metrics=f"{own}/metrics",
        artifacts=f"{own}/artifacts",
        cancel=f"{own}/cancel",
        model=f"/v1/models/{row.model_id}" if row.model_id else None,
        analysis=f"/v1/analyses/{row.analysis_id}" if row.analysis_id else None,
        trajectory=f"/v1/trajectories/{trajectory_id}" if trajectory_id else None,
    )


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
    def of(cls, job_id: str, rows: Iterable[Metric]) -> Self:
        found: dict[str, MetricSeries] = {}
        for row in rows:
            series = found.setdefault(row.name, MetricSeries(step=[], value=[], wall=[]))
            series.step.append(row.step)
            series.value.append(row.value)
            series.wall.append(row.wall)
        return cls(job_id=job_id, metrics=found)
