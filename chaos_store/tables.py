"""All tables. Times are seconds since 1970 by the clock of the database."""

from typing import Any, ClassVar

import uuid_utils
from sqlalchemy import JSON, BigInteger, Double, ForeignKey, Index, Integer, LargeBinary, MetaData, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .engine import now
from .states import State

__all__ = [
    "AnalysisRow",
    "ApiKey",
    "Artifact",
    "Base",
    "Blob",
    "BlobChunk",
    "Checkpoint",
    "Dataset",
    "Job",
    "JobEvent",
    "Lease",
    "Metric",
    "Project",
    "TrainedModel",
    "Trajectory",
    "new_id",
]

Json = dict[str, Any]


def new_id(prefix: str) -> str:
    """`prefix_` and a UUID of version 7, which sorts by time of making."""
    return f"{prefix}_{uuid_utils.uuid7().hex}"


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        float: Double(),
        Json: JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql"),
        list[str]: JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql"),
    }


class Project(Base):
    __tablename__ = "project"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("prj"))
    name: Mapped[str]
    retention_s: Mapped[float | None]
    created_at: Mapped[float] = mapped_column(default=now())


class ApiKey(Base):
    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("key"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"), index=True)
    name: Mapped[str]
    secret_sha256: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[float] = mapped_column(default=now())
    revoked_at: Mapped[float | None]


class Blob(Base):
    """Complete bytes. Chunks of a `content` without a row here are an upload under way, or one broken off."""

    __tablename__ = "blob"

    sha256: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[str] = mapped_column(unique=True)
    size: Mapped[int] = mapped_column(BigInteger)
    chunk_size: Mapped[int]
    created_at: Mapped[float] = mapped_column(default=now())


class BlobChunk(Base):
    __tablename__ = "blob_chunk"

    content: Mapped[str] = mapped_column(primary_key=True)
    idx: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[float | None] = mapped_column(default=now())


class Dataset(Base):
    __tablename__ = "dataset"
    __table_args__ = (Index(None, "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("ds"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    name: Mapped[str]
    status: Mapped[str]
    format: Mapped[str | None]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    content_sha256: Mapped[str] = mapped_column(ForeignKey("blob.sha256"), index=True)
    series_sha256: Mapped[str | None] = mapped_column(ForeignKey("blob.sha256"), index=True)
    rows: Mapped[int | None] = mapped_column(BigInteger)
    channels: Mapped[int | None]
    names: Mapped[list[str] | None]
    dt: Mapped[float | None]
    missing_count: Mapped[int | None] = mapped_column(BigInteger)
    stretches: Mapped[int | None]
    input_names: Mapped[list[str] | None]
    options: Mapped[Json] = mapped_column(default=dict)
    error: Mapped[Json | None]
    created_at: Mapped[float] = mapped_column(default=now())


class AnalysisRow(Base):
    """Facts of a dataset, made by the job `job_id`, whose status is theirs until `result` stands.

    `options` are those that differ from the defaults, `options_hash` is their digest.
    """

    __tablename__ = "analysis"
    __table_args__ = (
        Index(None, "dataset_id", "created_at"),
        Index(None, "dataset_id", "options_hash", "created_at"),
        Index(None, "project_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("an"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    dataset_id: Mapped[str] = mapped_column(ForeignKey("dataset.id"))
    job_id: Mapped[str] = mapped_column(index=True)
    options: Mapped[Json] = mapped_column(default=dict)
    options_hash: Mapped[str]
    analyser_version: Mapped[int]
    result: Mapped[Json | None]
    created_at: Mapped[float] = mapped_column(default=now())


class Job(Base):
    __tablename__ = "job"
    __table_args__ = (
        Index(None, "project_id", "created_at", "id"),
        Index(None, "status", "not_before"),
        Index(None, "status", "lease_until"),
        Index(None, "status", "priority", "created_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("job"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    kind: Mapped[str]
    status: Mapped[str] = mapped_column(default=State.queued.value)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("dataset.id"), index=True)
    analysis_id: Mapped[str | None] = mapped_column(ForeignKey("analysis.id"), index=True)
    spec: Mapped[Json] = mapped_column(default=dict)
    plan: Mapped[Json | None]
    plan_hash: Mapped[str | None]
    seed: Mapped[int] = mapped_column(BigInteger, default=0)
    labels: Mapped[Json] = mapped_column(default=dict)
    limits: Mapped[Json] = mapped_column(default=dict)
    priority: Mapped[int] = mapped_column(default=0)
    deadline: Mapped[float | None]

    attempt: Mapped[int] = mapped_column(default=0)
    attempts_since_checkpoint: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int]
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_owner: Mapped[str | None]
    lease_until: Mapped[float | None]
    not_before: Mapped[float] = mapped_column(default=now())
    woken_at: Mapped[float | None]

    stage: Mapped[str | None]
    progress_update: Mapped[int | None] = mapped_column(BigInteger)
    progress_total: Mapped[int | None] = mapped_column(BigInteger)
    kernel: Mapped[str | None]
    device: Mapped[str | None]
    checkpoint_update: Mapped[int | None] = mapped_column(BigInteger)

    scores: Mapped[Json | None]
    baselines: Mapped[Json | None]
    error: Mapped[Json | None]
    model_id: Mapped[str | None]
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    created_at: Mapped[float] = mapped_column(default=now())
    started_at: Mapped[float | None]
    first_step_at: Mapped[float | None]
    finished_at: Mapped[float | None]


class JobEvent(Base):
    __tablename__ = "job_event"
    __table_args__ = (Index(None, "job_id", "seq"), {"sqlite_autoincrement": True})

    seq: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"))
    type: Mapped[str]
    data: Mapped[Json] = mapped_column(default=dict)
    created_at: Mapped[float] = mapped_column(default=now())


class Checkpoint(Base):
    """A state of a training to go on from. The one with `best` holds the best state found so far, as a model too."""

    __tablename__ = "checkpoint"
    __table_args__ = (UniqueConstraint("job_id", "update"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("ckpt"))
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"))
    update: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(ForeignKey("blob.sha256"), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    best: Mapped[bool] = mapped_column(default=False)
    model_sha256: Mapped[str | None] = mapped_column(ForeignKey("blob.sha256"), index=True)
    model: Mapped[dict[str, Any] | None]
    damaged_at: Mapped[float | None]
    created_at: Mapped[float] = mapped_column(default=now())


class Metric(Base):
    """One number of a run; a value that is not finite is stored as NULL."""

    __tablename__ = "metric"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    value: Mapped[float | None]
    wall: Mapped[float]


class Artifact(Base):
    __tablename__ = "artifact"
    __table_args__ = (UniqueConstraint("job_id", "name"), Index(None, "project_id", "created_at", "id"))

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("art"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"))
    kind: Mapped[str]
    name: Mapped[str]
    media_type: Mapped[str]
    sha256: Mapped[str] = mapped_column(ForeignKey("blob.sha256"), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[float] = mapped_column(default=now())


class TrainedModel(Base):
    __tablename__ = "trained_model"
    __table_args__ = (Index(None, "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("mdl"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), unique=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("dataset.id"), index=True)
    name: Mapped[str]
    config: Mapped[Json]
    sha256: Mapped[str] = mapped_column(ForeignKey("blob.sha256"), index=True)
    artifact_id: Mapped[str] = mapped_column(ForeignKey("artifact.id"))
    parameter_count: Mapped[int] = mapped_column(BigInteger)
    plan_hash: Mapped[str | None]
    licence: Mapped[str | None]
    created_at: Mapped[float] = mapped_column(default=now())


class Trajectory(Base):
    """Free runs of a trained model: the one that its job stored, or those that a client asked for by `options`."""

    __tablename__ = "trajectory"
    __table_args__ = (Index(None, "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("trj"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    model_id: Mapped[str] = mapped_column(ForeignKey("trained_model.id"), index=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), index=True)
    artifact_id: Mapped[str] = mapped_column(ForeignKey("artifact.id"), unique=True)
    steps: Mapped[int] = mapped_column(BigInteger)
    channels: Mapped[int]
    runs: Mapped[int] = mapped_column(default=1)
    options: Mapped[Json] = mapped_column(default=dict)
    created_at: Mapped[float] = mapped_column(default=now())


class Lease(Base):
    """Who leads a chore that only one process should do at a time."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    until: Mapped[float]
