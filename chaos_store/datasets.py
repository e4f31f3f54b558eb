"""Datasets: a file and the series read from it."""

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from sqlalchemy import Select, or_, select, update
from sqlalchemy.orm import Session

from . import capacity, commands
from .announcements import announce_dataset
from .blobs import BlobRef
from .errors import DatasetHasContent, DatasetInUse, NotFound, WrongState
from .paging import Place, window
from .states import FINISHED, Kind
from .tables import Dataset, Job

__all__ = ["Facts", "create", "delete", "fill", "get", "page", "ready", "reject", "same_series"]


FRESHLY = {"synchronize_session": False, "populate_existing": True}


class Facts(TypedDict):
    """What reading the file told; `series_sha256` is the blob of the parsed series."""

    format: str
    series_sha256: str
    rows: int
    channels: int
    names: list[str]
    dt: float | None
    missing_count: int
    stretches: int
    input_names: list[str]


def create(
    session: Session,
    *,
    project_id: str,
    name: str,
    content: BlobRef | None,
    options: Mapping[str, Any] | None = None,
    expected: Mapping[str, Any] | None = None,
    split: Mapping[str, Any] | None = None,
    facts: Facts | None = None,
) -> Dataset:
    """A dataset that is `ready` where the facts are known, `processing` where they are not, `empty` without bytes."""
    dataset = Dataset(
        project_id=project_id,
        name=name,
        options=dict(options or {}),
        expected=None if expected is None else dict(expected),
        split=None if split is None else dict(split),
        **_filled(content, facts),
    )
    session.add(dataset)
    session.flush()
    capacity.require_bytes(session, project_id)
    announce_dataset(session, dataset)
    return dataset


def fill(
    session: Session,
    project_id: str,
    dataset_id: str,
    *,
    content: BlobRef,
    options: Mapping[str, Any],
    facts: Facts | None = None,
) -> Dataset:
    """Gives an empty dataset its bytes, once."""
    waiting = update(Dataset).where(
        Dataset.project_id == project_id, Dataset.id == dataset_id, Dataset.status == "empty"
    )
    filled = waiting.values(options=dict(options), **_filled(content, facts)).returning(Dataset)
    dataset = session.scalars(filled, execution_options=FRESHLY).one_or_none()
    if dataset is not None:
        return dataset
    status = session.scalar(get(project_id, dataset_id).with_only_columns(Dataset.status))
    if status is None:
        raise NotFound(f"There is no dataset {dataset_id}.", kind="dataset", id=dataset_id)
    raise DatasetHasContent(f"Dataset {dataset_id} is {status}.", dataset_id=dataset_id, status=status)


def _filled(content: BlobRef | None, facts: Facts | None) -> dict[str, Any]:
    if content is None:
        return {"status": "empty", "size_bytes": 0}
    stored = {"size_bytes": content.size, "content_sha256": content.sha256}
    return {"status": "ready" if facts else "processing", **stored, **(facts or {})}


def get(project_id: str, dataset_id: str) -> Select[Dataset]:
    return select(Dataset).where(Dataset.project_id == project_id, Dataset.id == dataset_id)


def page(
    project_id: str,
    *,
    status: str | None = None,
    **place: Unpack[Place],
) -> Select[Dataset]:
    statement = select(Dataset).where(Dataset.project_id == project_id)
    if status is not None:
        statement = statement.where(Dataset.status == status)
    return window(statement, Dataset, **place)


def same_series(project_id: str, dataset_id: str) -> Select[str]:
    """Ids of the project's datasets that hold the same series as this one, itself included."""
    series = select(Dataset.series_sha256).where(Dataset.project_id == project_id, Dataset.id == dataset_id)
    equal = or_(Dataset.id == dataset_id, Dataset.series_sha256 == series.scalar_subquery())
    return select(Dataset.id).where(Dataset.project_id == project_id, equal)


def ready(session: Session, dataset_id: str, **facts: Unpack[Facts]) -> Dataset:
    return _finish(session, dataset_id, status="ready", **facts)


def reject(session: Session, dataset_id: str, problem: Mapping[str, Any]) -> Dataset:
    return _finish(session, dataset_id, status="failed", error=dict(problem))


def delete(session: Session, project_id: str, dataset_id: str, *, cascade: bool = False) -> None:
    """Removes the dataset and the job that read its file; its other jobs, once finished, only with `cascade`."""
    locked = get(project_id, dataset_id).with_for_update()
    dataset = session.scalar(locked, execution_options={"populate_existing": True})
    if dataset is None:
        raise NotFound(f"There is no dataset {dataset_id}.", kind="dataset", id=dataset_id)
    made_with = select(Job.id, Job.kind, Job.status).where(Job.dataset_id == dataset_id).order_by(Job.id)
    jobs = session.execute(made_with).all()
    using = [job for job in jobs if job.kind != Kind.ingest]
    unfinished = [job for job in jobs if job.status not in FINISHED]
    if unfinished or (using and not cascade):
        counts = {"jobs": len(using), "unfinished": len(unfinished)}
        detail = f"{len(using)} jobs use dataset {dataset_id}, {len(unfinished)} jobs are not finished."
        raise DatasetInUse(detail, dataset_id=dataset_id, **counts)
    for job in jobs:
        commands.delete(session, project_id, job.id)
    session.delete(dataset)
    session.flush()


def _finish(session: Session, dataset_id: str, **values: Any) -> Dataset:
    open_one = update(Dataset).where(Dataset.id == dataset_id, Dataset.status == "processing")
    dataset = session.scalars(open_one.values(**values).returning(Dataset), execution_options=FRESHLY).one_or_none()
    if dataset is not None:
        announce_dataset(session, dataset)
        return dataset
    status = session.scalar(select(Dataset.status).where(Dataset.id == dataset_id))
    if status is None:
        raise NotFound(f"There is no dataset {dataset_id}.", kind="dataset", id=dataset_id)
    raise WrongState(f"Dataset {dataset_id} is already {status}.", status=status, event=values["status"])
