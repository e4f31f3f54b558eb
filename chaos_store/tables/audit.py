"""Who did what."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from ..engine import now
from .base import Base, new_id


class AuditEvent(Base):
    """A change, or a refusal. Without foreign keys: it outlives what it tells of, and never stops for it."""

    __tablename__ = "audit_event"
    __table_args__ = (Index(None, "project_id", "created_at", "id"), Index(None, "created_at"))

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("aud"))
    project_id: Mapped[str | None]
    key_id: Mapped[str | None]
    request_id: Mapped[str]
    address: Mapped[str | None]
    method: Mapped[str]
    route: Mapped[str]
    status: Mapped[int]
    code: Mapped[str | None]
    resource_id: Mapped[str | None]
    created_at: Mapped[float] = mapped_column(default=now())
