"""What jobs leave behind."""

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..engine import now
from .base import Base, Json, new_id


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
    stage: Mapped[str] = mapped_column(default="none")
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
