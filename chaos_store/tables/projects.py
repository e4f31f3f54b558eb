"""Projects, their keys, and what they use."""

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from ..engine import now
from ..scopes import ORDINARY
from .base import Base, new_id


class Project(Base):
    """A quota that is None does not limit."""

    __tablename__ = "project"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("prj"))
    name: Mapped[str]
    retention_s: Mapped[float | None]
    quota_bytes: Mapped[int | None] = mapped_column(BigInteger)
    quota_jobs: Mapped[int | None]
    quota_core_hours: Mapped[float | None]
    created_at: Mapped[float] = mapped_column(default=now())


class ApiKey(Base):
    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(primary_key=True, default=lambda: new_id("key"))
    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"), index=True)
    name: Mapped[str]
    secret_sha256: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]] = mapped_column(default=lambda: [scope.value for scope in ORDINARY])
    created_at: Mapped[float] = mapped_column(default=now())
    expires_at: Mapped[float | None]
    last_used_at: Mapped[float | None]
    revoked_at: Mapped[float | None]


class ProjectUse(Base):
    """What a project used on one day, counted from 1970."""

    __tablename__ = "project_use"

    project_id: Mapped[str] = mapped_column(ForeignKey("project.id"), primary_key=True)
    day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    requests: Mapped[int] = mapped_column(BigInteger, default=0)
    core_seconds: Mapped[float] = mapped_column(default=0.0)
