"""Analyses: facts of a dataset. Status and error are those of the job that makes them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from . import jobs
from .paging import window
from .states import Kind
from .tables import AnalysisRow, Job

__all__ = ["create", "get", "newest", "page", "request", "save_result"]


def request(
    session: Session,
    *,
    project_id: str,
    dataset_id: str,
    max_attempts: int,
    max_queued: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> tuple[AnalysisRow, Job]:
    """An analysis and the queued job that will fill it."""
    job = jobs.create(
        session,
        project_id=project_id,
        kind=Kind.analyse.value,
        dataset_id=dataset_id,
        max_attempts=max_attempts,
        max_queued=max_queued,
    )
    analysis = create(session, project_id=project_id, dataset_id=dataset_id, job_id=job.id, options=options)
    job.analysis_id = analysis.id
    session.flush()
    return analysis, job


def create(
    session: Session,
    *,
    project_id: str,
    dataset_id: str,
    job_id: str,
    options: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
) -> AnalysisRow:
    analysis = AnalysisRow(
        project_id=project_id,
        dataset_id=dataset_id,
        job_id=job_id,
        options=dict(options or {}),
        result=None if result is None else dict(result),
    )
    session.add(analysis)
    session.flush()
    return analysis


def save_result(session: Session, analysis_id: str, result: Mapping[str, Any]) -> None:
    statement = update(AnalysisRow).where(AnalysisRow.id == analysis_id).values(result=dict(result))
    session.execute(statement, execution_options={"synchronize_session": False})


def get(project_id: str, analysis_id: str) -> Select[AnalysisRow, Job]:
    return _with_job(project_id).where(AnalysisRow.id == analysis_id)


def newest(project_id: str, dataset_id: str, *, done: bool = False) -> Select[AnalysisRow, Job]:
    """The newest analysis of the dataset; with `done`, the newest that has a result."""
    mine = _with_job(project_id).where(AnalysisRow.dataset_id == dataset_id)
    if done:
        mine = mine.where(AnalysisRow.result.is_not(None))
    return mine.order_by(AnalysisRow.created_at.desc(), AnalysisRow.id.desc()).limit(1)


def page(
    project_id: str, *, dataset_id: str | None = None, cursor: str | None = None, limit: int = 50
) -> Select[AnalysisRow, Job]:
    statement = _with_job(project_id)
    if dataset_id is not None:
        statement = statement.where(AnalysisRow.dataset_id == dataset_id)
    return window(statement, AnalysisRow, cursor, limit)


def _with_job(project_id: str) -> Select[AnalysisRow, Job]:
    return select(AnalysisRow, Job).join(Job, Job.id == AnalysisRow.job_id).where(AnalysisRow.project_id == project_id)
