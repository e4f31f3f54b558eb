"""Requests that came with an Idempotency-Key, and what was answered."""

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from ..engine import now
from .base import Base


class IdempotencyKey(Base):
    """A request under its key: in progress until `locked_until`, then answered (`status`), or free where nothing was
    made. `made` is written in the transaction of the effect itself: `noun/id` of each resource that is new."""

    __tablename__ = "idempotency_key"

    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    owner: Mapped[str]
    locked_until: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)
    made: Mapped[list[str] | None]
    status: Mapped[int | None]
    media_type: Mapped[str | None]
    location: Mapped[str | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[float] = mapped_column(default=now())
