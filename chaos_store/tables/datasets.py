"""Recordings and what is known of them."""

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from ..engine import now
from .base import Base, Json, new_id


class Dataset(Base):
    """`empty` until its bytes have come; `expected` is what was announced of them, `split` the shares of its pieces."""

    __tablename__ = "dataset"
    __table_args__ = (Index(None, "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("ds"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    name: Mapped[str]
    status: Mapped[str]
    format: Mapped[str | None]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    content_sha256: Mapped[str | None] = mapped_column(ForeignKey("blob.sha256"), index=True)
    series_sha256: Mapped[str | None] = mapped_column(ForeignKey("blob.sha256"), index=True)
    rows: Mapped[int | None] = mapped_column(BigInteger)
    channels: Mapped[int | None]
    names: Mapped[list[str] | None]
    dt: Mapped[float | None]
    missing_count: Mapped[int | None] = mapped_column(BigInteger)
    stretches: Mapped[int | None]
    input_names: Mapped[list[str] | None]
    options: Mapped[Json] = mapped_column(default=dict)
    expected: Mapped[Json | None]
    split: Mapped[Json | None]
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
