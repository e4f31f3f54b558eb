from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from chaos_store.tables import AnalysisRow, Dataset, Job, JobEvent, TrainedModel

from .jobs import CheckpointOut
from .models import UNSPECIFIED
from .resource import Json, Resource


class LineageModel(Resource):
    id: str
    name: str
    licence: str
    cell: str
    equation: str
    sha256: str = Field(description="of the safetensors file")
    parameter_count: int
    created_at: datetime

    @classmethod
    def of(cls, row: TrainedModel) -> Self:
        words = {"licence": row.licence or UNSPECIFIED, "cell": row.config.get("cell", "unknown")}
        return cls.model_validate(cls.facts(row) | words | {"equation": row.config.get("equation", "")})


class LineageData(Resource):
    id: str
    name: str
    content_sha256: str = Field(description="of the file as it was sent")
    series_sha256: str | None = Field(description="of the stored series")
    series_digest: str | None = Field(description="over values, gaps, stretches, names and dt: what the training saw")
    rows: int | None
    channels: int | None
    names: list[str] | None
    input_names: list[str] | None
    dt: float | None
    missing_count: int | None
    options: Json = Field(description="how the file was read, or what it was generated from")
    created_at: datetime

    @classmethod
    def of(cls, row: Dataset, digest: str | None) -> Self:
        return cls.model_validate(cls.facts(row) | {"series_digest": digest})


class Ancestor(BaseModel):
    """What the training started from, or what that one did."""

    kind: Literal["model", "checkpoint"]
    id: str
    job_id: str
    sha256: str = Field(description="of its file")
    scaling: str = Field(description="whose scaling was kept: `parent` or `data`")
    present: bool = Field(description="false: it was deleted since")


class LineageAnalysis(Resource):
    id: str
    job_id: str
    analyser_version: int
    options: Json
    result: Json | None
    created_at: datetime

    @classmethod
    def of(cls, row: AnalysisRow) -> Self:
        return cls.model_validate(cls.facts(row))


class LineageJob(Resource):
    id: str
    status: str
    seed: int
    spec: Json
    plan: Json | None
    plan_hash: str | None
    labels: dict[str, str]
    kernel: str | None
    device: str | None
    attempt: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Job) -> Self:
        return cls.model_validate(cls.facts(row))


class Attempt(BaseModel):
    attempt: int
    event: str = Field(examples=["claim"])
    status: str
    at: datetime

    @classmethod
    def of(cls, row: JobEvent) -> Self:
        return cls.model_validate({"at": row.created_at, **row.data})


class MetricEnd(BaseModel):
    name: str
    numbers: int
    last_step: int
    last_value: float | None


class Paper(BaseModel):
    of: str = Field(examples=["forcing sparse"])
    source: str


class LineageOut(BaseModel):
    object: Literal["lineage"] = "lineage"
    model: LineageModel
    dataset: LineageData
    analysis: LineageAnalysis | None
    start_from: list[Ancestor] = Field(
        description="what the training started from, what that one started from, and so on; empty: it started afresh"
    )
    job: LineageJob
    code: Json | None = Field(
        description="`release` and `core_sha256` of the code that trained; null: before this was kept"
    )
    provenance: Json = Field(description="update of the state that was kept, its validation, restarts, proven bound")
    attempts: list[Attempt] = Field(description="each change of the job's state, in order")
    checkpoints: list[CheckpointOut]
    metrics: list[MetricEnd] = Field(
        description="where each metric of the run ended; all numbers: GET of the job's metrics"
    )
    scores: Json | None
    baselines: Json | None
    papers: list[Paper]
