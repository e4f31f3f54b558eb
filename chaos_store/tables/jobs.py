"""Long work, what happened to it, and who does it."""

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..engine import now
from ..states import State
from .base import Base, Json, new_id


class Job(Base):
    """`claimed_at` is the start of the newest attempt, `ran_s` how long the one before the present state ran."""

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
    start: Mapped[Json | None]
    start_sha256: Mapped[str | None] = mapped_column(ForeignKey("blob.sha256"), index=True)

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
    request_id: Mapped[str | None]
    log_lines_cut: Mapped[int] = mapped_column(BigInteger, default=0)
    log_bytes_cut: Mapped[int] = mapped_column(BigInteger, default=0)
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    created_at: Mapped[float] = mapped_column(default=now())
    started_at: Mapped[float | None]
    first_step_at: Mapped[float | None]
    finished_at: Mapped[float | None]
    claimed_at: Mapped[float | None]
    ran_s: Mapped[float | None]


class JobEvent(Base):
    __tablename__ = "job_event"
    __table_args__ = (Index(None, "job_id", "seq"), {"sqlite_autoincrement": True})

    seq: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"))
    type: Mapped[str]
    data: Mapped[Json] = mapped_column(default=dict)
    created_at: Mapped[float] = mapped_column(default=now())


class JobLog(Base):
    """A line of a worker or runner about the job; `size` counts the bytes of the message."""

    __tablename__ = "job_log"
    __table_args__ = (Index(None, "job_id", "seq"), {"sqlite_autoincrement": True})

    seq: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"))
    attempt: Mapped[int]
    source: Mapped[str]
    level: Mapped[str]
    message: Mapped[str]
    size: Mapped[int]
    created_at: Mapped[float]


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


class Lease(Base):
    """Who leads a chore that only one process should do at a time."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    until: Mapped[float]
