"""Evaluations: one trajectory scored against another. Status, scores and error are those of the job that makes them."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Unpack

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from . import artifacts, datasets, jobs, trajectories
from .errors import DatasetNotReady, NotFound
from .paging import Place, window
from .states import Kind
from .tables import Evaluation, Job

__all__ = ["Generated", "create", "get", "of_job", "page"]


class Generated(NamedTuple):
    """The trajectory that is scored: one of the two."""

    dataset_id: str | None = None
    trajectory_id: str | None = None


def create(
    session: Session,
    *,
    project_id: str,
    dataset_id: str,
    generated: Generated,
    options: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
    max_attempts: int,
    max_queued: int | None = None,
) -> tuple[Evaluation, Job]:
    """An evaluation and the queued job that will fill it."""
    job = jobs.create(
        session,
        project_id=project_id,
        kind=Kind.evaluate.value,
        dataset_id=dataset_id,
        labels=labels,
        max_attempts=max_attempts,
        max_queued=max_queued,
    )
    evaluation = Evaluation(
        project_id=project_id,
        job_id=job.id,
        dataset_id=dataset_id,
        generated_dataset_id=generated.dataset_id,
        trajectory_id=generated.trajectory_id,
        generated_sha256=_bytes_of(session, project_id, generated),
        options=dict(options),
    )
    session.add(evaluation)
    session.flush()
    return evaluation, job


def get(project_id: str, evaluation_id: str) -> Select[Evaluation, Job]:
    return _with_job(project_id).where(Evaluation.id == evaluation_id)


def of_job(project_id: str, job_id: str) -> Select[Evaluation]:
    return select(Evaluation).where(Evaluation.project_id == project_id, Evaluation.job_id == job_id)


def page(
    project_id: str,
    *,
    status: str | None = None,
    dataset_id: str | None = None,
    generated_dataset_id: str | None = None,
    trajectory_id: str | None = None,
    **place: Unpack[Place],
) -> Select[Evaluation, Job]:
    statement = _with_job(project_id)
    wanted = (
        (Job.status, status),
        (Evaluation.dataset_id, dataset_id),
        (Evaluation.generated_dataset_id, generated_dataset_id),
        (Evaluation.trajectory_id, trajectory_id),
    )
    for column, value in wanted:
        if value is not None:
            statement = statement.where(column == value)
    return window(statement, Evaluation, **place)


def _bytes_of(session: Session, project_id: str, generated: Generated) -> str:
    """Locked until the transaction ends, so that the collector does not take them before they are named here."""
    if generated.trajectory_id is not None:
        run = session.scalar(trajectories.get(project_id, generated.trajectory_id).with_for_update(read=True))
        file = None if run is None else session.scalar(artifacts.get(project_id, run.artifact_id))
        if file is None:
            raise NotFound(
                f"There is no trajectory {generated.trajectory_id}.", kind="trajectory", id=generated.trajectory_id
            )
        return file.sha256
    named = str(generated.dataset_id)
    other = session.scalar(datasets.get(project_id, named).with_for_update(read=True, key_share=True))
    if other is None:
        raise NotFound(f"There is no dataset {named}.", kind="dataset", id=named)
    if other.series_sha256 is None:
        raise DatasetNotReady(f"Dataset {named} is {other.status}.", dataset_id=named, status=other.status)
    return other.series_sha256


def _with_job(project_id: str) -> Select[Evaluation, Job]:
    return select(Evaluation, Job).join(Job, Job.id == Evaluation.job_id).where(Evaluation.project_id == project_id)
