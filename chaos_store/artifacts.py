"""Artifacts: files that a job leaves behind."""

from typing import Unpack

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from .blobs import BlobRef
from .engine import insert_for, now
from .paging import Place, window
from .tables import Artifact, new_id

__all__ = ["GENERATED", "create", "get", "named", "of_job", "page"]

GENERATED = "generated"
"""The kind of what a client asked of a finished model, beside what the job made."""


def create(
    session: Session, *, project_id: str, job_id: str, kind: str, name: str, media_type: str, blob: BlobRef
) -> Artifact:
    """The job's file of that name; a later attempt that makes it again replaces the bytes and keeps the id."""
    content = {"kind": kind, "media_type": media_type, "sha256": blob.sha256, "size": blob.size}
    statement = insert_for(session, Artifact).values(
        id=new_id("art"), project_id=project_id, job_id=job_id, name=name, created_at=now(), **content
    )
    replaced = statement.on_conflict_do_update(index_elements=["job_id", "name"], set_=content)
    options = {"populate_existing": True}
    return session.scalars(replaced.returning(Artifact), execution_options=options).one()


def get(project_id: str, artifact_id: str) -> Select[Artifact]:
    return select(Artifact).where(Artifact.project_id == project_id, Artifact.id == artifact_id)


def named(project_id: str, job_id: str, name: str, kind: str | None = None) -> Select[Artifact]:
    mine = select(Artifact).where(Artifact.project_id == project_id, Artifact.job_id == job_id)
    named = mine.where(Artifact.name == name)
    return named if kind is None else named.where(Artifact.kind == kind)


def of_job(project_id: str, job_id: str) -> Select[Artifact]:
    mine = select(Artifact).where(Artifact.project_id == project_id, Artifact.job_id == job_id)
    return mine.order_by(Artifact.created_at, Artifact.id)


def page(
    project_id: str,
    *,
    job_id: str | None = None,
    kind: str | None = None,
    **place: Unpack[Place],
) -> Select[Artifact]:
    statement = select(Artifact).where(Artifact.project_id == project_id)
    for column, value in ((Artifact.job_id, job_id), (Artifact.kind, kind)):
        if value is not None:
            statement = statement.where(column == value)
    return window(statement, Artifact, **place)
