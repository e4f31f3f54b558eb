"""The service in numbers, for those who watch it: how much of what there is now, and what happened since."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from . import workers
from .deliveries import WAITING
from .engine import now
from .states import FINISHED, State
from .tables import Blob, Dataset, Delivery, Job, JobEvent

__all__ = ["Census", "Happened", "Training", "happened", "newest_event", "take"]

UNFINISHED = tuple(state.value for state in State if state not in FINISHED)


class Training(NamedTuple):
    """`first_step_age_s` is None before the first update."""

    job_id: str
    update: int
    first_step_age_s: float | None


class Happened(NamedTuple):
    """`event` is that of a status, else None; `seconds` from the first start of a job to its end."""

    seq: int
    job_id: str
    type: str
    event: str | None
    status: str | None
    kind: str
    seconds: float | None


class Census(NamedTuple):
    """`jobs` by (kind, state), `waiting_s` the longest by kind, `slots` and `busy` of living workers."""

    at: float
    jobs: dict[tuple[str, str], int]
    waiting_s: dict[str, float]
    trainings: tuple[Training, ...]
    datasets: dict[str, int]
    blobs: int
    blob_bytes: int
    deliveries: dict[str, int]
    workers: dict[str, int]
    slots: dict[str, int]


def take(session: Session, silent_s: float) -> Census:
    at = session.scalar(select(now())) or 0.0
    unfinished = session.execute(_unfinished()).all()
    waiting = {kind: max(0.0, at - since) for kind, status, _, since in unfinished if status == State.queued}
    blobs, blob_bytes = session.execute(select(func.count(), func.coalesce(func.sum(Blob.size), 0))).one()
    seen = session.execute(workers.listed(silent_s)).all()
    living = [worker for worker, alive in seen if alive]
    return Census(
        at=at,
        jobs={(kind, status): count for kind, status, count, _ in unfinished},
        waiting_s=waiting,
        trainings=tuple(
            Training(job_id, update or 0, None if since is None else at - since)
            for job_id, update, since in session.execute(_trainings())
        ),
        datasets={row[0]: row[1] for row in session.execute(_datasets())},
        blobs=blobs,
        blob_bytes=int(blob_bytes),
        deliveries={row[0]: row[1] for row in session.execute(_deliveries())},
        workers={"alive": len(living), "silent": len(seen) - len(living)},
        slots={
            "training": sum(worker.training_slots for worker in living),
            "light": sum(worker.light_slots for worker in living),
        },
    )


def newest_event() -> Select[int]:
    return select(func.coalesce(func.max(JobEvent.seq), 0))


def happened(session: Session, after: int, limit: int) -> Sequence[Happened]:
    """Changes of states and deaths of runners, in the order of their numbers, of jobs that are still there."""
    told = JobEvent.data
    statement = (
        select(
            JobEvent.seq,
            JobEvent.job_id,
            JobEvent.type,
            told["event"].as_string(),
            told["status"].as_string(),
            Job.kind,
            Job.finished_at - Job.started_at,
        )
        .join(Job, Job.id == JobEvent.job_id)
        .where(JobEvent.seq > after, JobEvent.type.in_(("status", "runner_died")))
        .order_by(JobEvent.seq)
        .limit(limit)
    )
    return [Happened(*row) for row in session.execute(statement)]


def _unfinished() -> Select[str, str, int, float]:
    """The longest waits since a job was queued, or queued again, and due."""
    counted = select(Job.kind, Job.status, func.count(), func.min(Job.not_before))
    return counted.where(Job.status.in_(UNFINISHED)).group_by(Job.kind, Job.status)


def _trainings() -> Select[str, int | None, float | None]:
    running = select(Job.id, Job.progress_update, Job.first_step_at)
    return running.where(Job.status == State.running.value, Job.kernel.is_not(None))


def _datasets() -> Select[str, int]:
    return select(Dataset.status, func.count()).group_by(Dataset.status)


def _deliveries() -> Select[str, int]:
    under_way = select(Delivery.status, func.count()).where(Delivery.status.in_(WAITING))
    return under_way.group_by(Delivery.status)
