"""What clients ask of a job that exists: each command happens, has happened already, or is refused with its code."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict, Unpack

from sqlalchemy import delete as remove
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from . import capacity, jobs
from .engine import now
from .errors import (
    NotCancellable,
    NotDeletable,
    NotFound,
    NotPausable,
    NotResumable,
    NotRetryable,
    TooManyLabels,
    WrongState,
)
from .states import FINISHED, TRANSITIONS, Event, Kind, State
from .tables import (
    AnalysisRow,
    Artifact,
    Checkpoint,
    Dataset,
    Evaluation,
    Job,
    JobEvent,
    JobLog,
    Metric,
    TrainedModel,
    Trajectory,
)
from .transitions import transition

__all__ = [
    "COMMANDS",
    "Command",
    "delete",
    "relabelled",
    "request_cancel",
    "request_pause",
    "request_resume",
    "request_retry",
    "revise",
]

MOST_LABELS = 32
QUIETLY = {"synchronize_session": False}
ANEW: dict[str, Any] = {"attempts_since_checkpoint": 0, "not_before": now(), "woken_at": None}
OF_THE_RUN = (
    "checkpoint_update",
    "progress_update",
    "progress_total",
    "first_step_at",
    "kernel",
    "device",
    "scores",
    "baselines",
)


class Command(NamedTuple):
    """In the states `done`, asking again changes nothing."""

    event: Event
    done: frozenset[State]
    refusal: type[WrongState]


COMMANDS = {
    "pause": Command(Event.pause, frozenset({State.pausing, State.paused}), NotPausable),
    "resume": Command(Event.resume, frozenset({State.queued, State.running}), NotResumable),
    "cancel": Command(Event.cancel, frozenset({State.cancelling}), NotCancellable),
    "retry": Command(Event.retry, frozenset(), NotRetryable),
}


def request_cancel(session: Session, project_id: str, job_id: str) -> Job:
    """Cancels a job that waits at once and asks a running one to stop."""
    return _command(session, "cancel", _lock(session, project_id, job_id))


def request_pause(session: Session, project_id: str, job_id: str) -> Job:
    """Sets a queued job aside at once and asks a running one to save itself and stop."""
    return _command(session, "pause", _lock(session, project_id, job_id))


def request_resume(session: Session, project_id: str, job_id: str) -> Job:
    """Queues a paused job again; it goes on from its newest checkpoint."""
    return _command(session, "resume", _lock(session, project_id, job_id), **ANEW)


def request_retry(session: Session, project_id: str, job_id: str, *, fresh: bool) -> Job:
    """Queues a failed or cancelled job again: from its newest checkpoint, or `fresh` from the start.

    A trained model that the job left stays until the job makes another.
    """
    job = _lock(session, project_id, job_id)
    forgotten = ["error", "started_at", "finished_at", *(OF_THE_RUN if fresh else [])]
    job = _command(session, "retry", job, **ANEW, **dict.fromkeys(forgotten))
    if fresh:
        for table in (Checkpoint, Metric):
            session.execute(remove(table).where(table.job_id == job.id), execution_options=QUIETLY)
    if job.kind == Kind.ingest:
        unread = update(Dataset).where(Dataset.id == job.dataset_id, Dataset.status == "failed")
        session.execute(unread.values(status="processing", error=None), execution_options=QUIETLY)
    return job


def delete(session: Session, project_id: str, job_id: str) -> None:
    """Removes a finished job and all that it made; the bytes go with the next collection."""
    job = _lock(session, project_id, job_id)
    if job.status not in FINISHED:
        raise NotDeletable(f"The job is {job.status}.", status=job.status)
    _remove_models(session, job_id)
    made = select(AnalysisRow.id).where(AnalysisRow.job_id == job_id)
    users = update(Job).where(Job.analysis_id.in_(made))
    session.execute(users.values(analysis_id=None, version=Job.version + 1), execution_options=QUIETLY)
    for table in (AnalysisRow, Artifact, Checkpoint, Evaluation, Metric, JobEvent, JobLog):
        session.execute(remove(table).where(table.job_id == job_id), execution_options=QUIETLY)
    session.delete(job)
    session.flush()


class Revision(TypedDict, total=False):
    priority: int
    deadline: float | None


def revise(
    session: Session, project_id: str, job_id: str, *, labels: Mapping[str, str | None], **values: Unpack[Revision]
) -> Job:
    """Sets labels and takes away those that are None, the others stay; a run under way keeps its deadline."""
    job = _lock(session, project_id, job_id)
    changes = {"labels": relabelled(job.labels, labels), **values}
    if any(getattr(job, name) != value for name, value in changes.items()):
        for name, value in changes.items():
            setattr(job, name, value)
        job.version += 1
        session.flush()
    return job


def relabelled(labels: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    found = {name: value for name, value in (dict(labels) | dict(changes)).items() if value is not None}
    if len(found) > MOST_LABELS:
        raise TooManyLabels(f"The job would have {len(found)} labels.", value=len(found), limit=MOST_LABELS)
    return found


def _remove_models(session: Session, job_id: str) -> None:
    """The job's trained model and every trajectory of it, also those that other jobs made."""
    model = select(TrainedModel.id).where(TrainedModel.job_id == job_id).scalar_subquery()
    runs = (Trajectory.job_id == job_id) | (Trajectory.model_id == model)
    files = session.scalars(select(Trajectory.artifact_id).where(runs)).all()
    session.execute(remove(Trajectory).where(runs), execution_options=QUIETLY)
    session.execute(remove(TrainedModel).where(TrainedModel.job_id == job_id), execution_options=QUIETLY)
    session.execute(remove(Artifact).where(Artifact.id.in_(files)), execution_options=QUIETLY)


def _lock(session: Session, project_id: str, job_id: str) -> Job:
    """The job, which nobody else changes until the transaction ends."""
    locked = jobs.get(project_id, job_id).with_for_update()
    job = session.scalar(locked, execution_options={"populate_existing": True})
    if job is None:
        raise NotFound(f"There is no job {job_id}.", kind="job", id=job_id)
    return job


def _command(session: Session, name: str, job: Job, **values: Any) -> Job:
    command, status = COMMANDS[name], State(job.status)
    if status in command.done:
        return job
    if (status, command.event) not in TRANSITIONS:
        raise command.refusal(f"The job {_is(status)}.", status=status.value)
    if TRANSITIONS[status, command.event] is State.queued:
        capacity.require_turn(session, job.project_id)
    return transition(session, command.event, Job.id == job.id, **values)[0]


def _is(status: State) -> str:
    if status is State.cancelled:
        return "has already been cancelled"
    return f"has already {status}" if status in FINISHED else f"is {status}"
