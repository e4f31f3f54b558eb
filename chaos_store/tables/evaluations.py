"""Comparisons of two trajectories."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from ..engine import now
from .base import Base, Json, new_id


class Evaluation(Base):
    """Scores of a generated trajectory against a dataset: status, scores and error are those of the job `job_id`.

    The generated side is a dataset or a trajectory, which may be deleted while its bytes stay with this row.
    """

    __tablename__ = "evaluation"
    __table_args__ = (Index(None, "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("evl"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), unique=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("dataset.id"), index=True)
    generated_dataset_id: Mapped[str | None] = mapped_column(index=True)
    trajectory_id: Mapped[str | None] = mapped_column(index=True)
    generated_sha256: Mapped[str] = mapped_column(ForeignKey("blob.sha256"), index=True)
    options: Mapped[Json]
    created_at: Mapped[float] = mapped_column(default=now())
