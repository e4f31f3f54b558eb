"""Projects: what a key belongs to."""

from typing import TypedDict, Unpack

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from .errors import NotFound
from .paging import Place, window
from .tables import Project

__all__ = ["Change", "change", "get", "page"]


class Change(TypedDict, total=False):
    name: str
    retention_s: float | None
    quota_bytes: int | None
    quota_jobs: int | None
    quota_core_hours: float | None


def get(project_id: str, *, of: str | None = None) -> Select[Project]:
    """`of`: only if it is this one."""
    found = select(Project).where(Project.id == project_id)
    return found if of is None else found.where(Project.id == of)


def page(of: str | None = None, **place: Unpack[Place]) -> Select[Project]:
    """All, or `of`: this one only."""
    found = select(Project)
    return window(found if of is None else found.where(Project.id == of), Project, **place)


def change(session: Session, project_id: str, **changes: Unpack[Change]) -> Project:
    """A quota below what is used ends nothing; it only refuses more."""
    locked = get(project_id).with_for_update(key_share=True)
    project = session.scalar(locked, execution_options={"populate_existing": True})
    if project is None:
        raise NotFound(f"There is no project {project_id}.", kind="project", id=project_id)
    for field, value in changes.items():
        setattr(project, field, value)
    session.flush()
    return project
