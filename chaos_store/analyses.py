"""Analyses: facts of a dataset. Status and error are those of the job that makes them."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Unpack

from sqlalchemy import Select, and_, or_, select, update
from sqlalchemy.orm import Session

from chaos_core.analysis_options import ANALYSIS_VERSION, AUTOMATIC, AnalysisOptions

from . import datasets, jobs
from .paging import Place, window
from .states import Kind, State
from .tables import AnalysisRow, Blob, Dataset, Job

__all__ = ["Obtained", "create", "get", "newest", "obtain", "page", "request", "reusable", "save_result"]


class Obtained(NamedTuple):
    analysis: AnalysisRow
    job: Job
    made: bool


def obtain(
    session: Session,
    *,
    project_id: str,
    dataset_id: str,
    max_attempts: int,
    max_queued: int | None = None,
    options: AnalysisOptions = AUTOMATIC,
    fresh: bool = False,
) -> Obtained:
    """The analysis of the same series with the same options that there is or will be; else, or `fresh`, a new one."""
    _lock_series(session, project_id, dataset_id)
    known = None if fresh else session.execute(reusable(project_id, dataset_id, options)).first()
    if known is not None:
        analysis, job = known
        return Obtained(analysis, job, made=False)
    analysis, job = request(
        session,
        project_id=project_id,
        dataset_id=dataset_id,
        max_attempts=max_attempts,
        max_queued=max_queued,
        options=options,
    )
    return Obtained(analysis, job, made=True)


def request(
    session: Session,
    *,
    project_id: str,
    dataset_id: str,
    max_attempts: int,
    max_queued: int | None = None,
    options: AnalysisOptions = AUTOMATIC,
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
    options: AnalysisOptions = AUTOMATIC,
    result: Mapping[str, Any] | None = None,
) -> AnalysisRow:
    analysis = AnalysisRow(
        project_id=project_id,
        dataset_id=dataset_id,
        job_id=job_id,
        options=options.asked(),
        options_hash=options.digest(),
        analyser_version=ANALYSIS_VERSION,
        result=None if result is None else dict(result),
    )
    session.add(analysis)
    session.flush()
    return analysis


def save_result(session: Session, analysis_id: str, result: Mapping[str, Any]) -> None:
    values = {"result": dict(result), "analyser_version": ANALYSIS_VERSION}
    statement = update(AnalysisRow).where(AnalysisRow.id == analysis_id).values(values)
    session.execute(statement, execution_options={"synchronize_session": False})


def get(project_id: str, analysis_id: str) -> Select[AnalysisRow, Job]:
    return _with_job(project_id).where(AnalysisRow.id == analysis_id)


def newest(project_id: str, dataset_id: str, *, done: bool = False) -> Select[AnalysisRow, Job]:
    """The newest analysis of the dataset's series without options; `done`: with a result of the present analyser."""
    mine = _alike(project_id, dataset_id, AUTOMATIC)
    if done:
        mine = mine.where(AnalysisRow.result.is_not(None), AnalysisRow.analyser_version == ANALYSIS_VERSION)
    return mine.order_by(AnalysisRow.created_at.desc(), AnalysisRow.id.desc()).limit(1)


def reusable(project_id: str, dataset_id: str, options: AnalysisOptions) -> Select[AnalysisRow, Job]:
    """One of a finished job before one that is still to come."""
    done = and_(AnalysisRow.result.is_not(None), Job.status == State.succeeded.value)
    coming = and_(Job.kind == Kind.analyse.value, Job.status.in_([State.queued.value, State.running.value]))
    alike = _alike(project_id, dataset_id, options).where(AnalysisRow.analyser_version == ANALYSIS_VERSION)
    order = (AnalysisRow.result.is_(None), AnalysisRow.created_at.desc(), AnalysisRow.id.desc())
    return alike.where(or_(done, coming)).order_by(*order).limit(1)


def page(
    project_id: str,
    *,
    dataset_id: str | None = None,
    **place: Unpack[Place],
) -> Select[AnalysisRow, Job]:
    statement = _with_job(project_id)
    if dataset_id is not None:
        statement = statement.where(AnalysisRow.dataset_id == dataset_id)
    return window(statement, AnalysisRow, **place)


def _lock_series(session: Session, project_id: str, dataset_id: str) -> None:
    """Until the transaction ends nobody else asks for an analysis of these bytes."""
    mine = select(Dataset.series_sha256).where(Dataset.project_id == project_id, Dataset.id == dataset_id)
    session.execute(select(Blob.sha256).where(Blob.sha256 == mine.scalar_subquery()).with_for_update(key_share=True))


def _alike(project_id: str, dataset_id: str, options: AnalysisOptions) -> Select[AnalysisRow, Job]:
    same = AnalysisRow.dataset_id.in_(datasets.same_series(project_id, dataset_id))
    return _with_job(project_id).where(same, AnalysisRow.options_hash == options.digest())


def _with_job(project_id: str) -> Select[AnalysisRow, Job]:
    return select(AnalysisRow, Job).join(Job, Job.id == AnalysisRow.job_id).where(AnalysisRow.project_id == project_id)
