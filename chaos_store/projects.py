"""Projects: what a key belongs to."""

from typing import TypedDict, Unpack

from sqlalchemy import ColumnElement, Select, Table, select
from sqlalchemy import delete as remove
from sqlalchemy.orm import Session

from . import usage
from .errors import NotFound, ProjectInUse
from .paging import Place, window
from .states import FINISHED
from .tables import AuditEvent, Base, Dataset, Job, Project, Upload, Webhook

__all__ = ["Change", "change", "delete", "get", "page"]

LOCKED_BEFORE = (Dataset, Job, Upload, Webhook)
"""Who changes one of these may ask for the project's row while its own is locked, so a removal takes them first."""


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


def delete(session: Session, project_id: str, *, cascade: bool = False) -> None:
    """Removes the project, its keys and, with `cascade`, all that it holds; what is in the audit log stays there."""
    for table in LOCKED_BEFORE:
        rows = select(table.id).where(table.project_id == project_id).order_by(table.id)
        session.scalars(rows.with_for_update()).all()
    if session.scalar(get(project_id).with_for_update()) is None:
        raise NotFound(f"There is no project {project_id}.", kind="project", id=project_id)
    datasets = session.scalar(usage.datasets(project_id)) or 0
    jobs = {row[0]: row[1] for row in session.execute(usage.jobs_by_status(project_id))}
    unfinished = sum(count for status, count in jobs.items() if status not in FINISHED)
    if unfinished or (datasets and not cascade):
        total = sum(jobs.values())
        detail = f"Project {project_id} holds {datasets} datasets and {total} jobs, {unfinished} of them unfinished."
        counts = {"datasets": datasets, "jobs": total, "unfinished": unfinished}
        raise ProjectInUse(detail, project_id=project_id, **counts)
    for table in reversed(Base.metadata.sorted_tables):
        mine = _belongs(table, project_id)
        if mine is not None and table.name != AuditEvent.__tablename__:
            session.execute(remove(table).where(mine))
    session.execute(remove(Project).where(Project.id == project_id))


def _belongs(table: Table, project_id: str) -> ColumnElement[bool] | None:
    """Rows of the project, by their own word or by that of the row that they hang on; None: rows of nobody."""
    if "project_id" in table.c:
        return table.c.project_id == project_id
    for key in table.foreign_keys:
        owner = key.column.table
        if "project_id" in owner.c:
            return key.parent.in_(select(key.column).where(owner.c.project_id == project_id))
    return None
