"""Projects and their keys."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from ..engine import now
from .base import Base, new_id


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
