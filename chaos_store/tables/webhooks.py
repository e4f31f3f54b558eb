"""Who is told of what happens, what they are told, and how each try went."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from ..engine import now
from .base import Base, new_id


class Webhook(Base):
    """`event_types` None means all. Until `previous_until` the previous secret signs beside the present one."""

    __tablename__ = "webhook"
    __table_args__ = (Index(None, "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("whk"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    url: Mapped[str]
    event_types: Mapped[list[str] | None]
    description: Mapped[str | None]
    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str | None]
    disabled_at: Mapped[float | None]
    failing_since: Mapped[float | None]
    secret: Mapped[str]
    previous_secret: Mapped[str | None]
    previous_until: Mapped[float | None]
    created_at: Mapped[float] = mapped_column(default=now())


class Delivery(Base):
    """One event for one webhook. `tries` counts from its beginning or its last replay, `attempts` for ever.

    `due_at` of a delivery that is being sent is the moment at which its sender counts as lost.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index(None, "webhook_id", "created_at", "id"),
        Index(None, "status", "due_at"),
        Index(None, "finished_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("whd"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"))
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    event_id: Mapped[str]
    type: Mapped[str]
    payload: Mapped[str]
    status: Mapped[str] = mapped_column(default="pending")
    reason: Mapped[str | None]
    due_at: Mapped[float | None] = mapped_column(default=now())
    tries: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[float] = mapped_column(default=now())
    finished_at: Mapped[float | None]


class Attempt(Base):
    """One request to a receiver: `reason` says why it failed, an attempt without one and without a status is open."""

    __tablename__ = "webhook_attempt"

    delivery_id: Mapped[str] = mapped_column(ForeignKey("webhook_delivery.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    started_at: Mapped[float] = mapped_column(default=now())
    duration_s: Mapped[float | None]
    status_code: Mapped[int | None]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    answer: Mapped[str | None]
