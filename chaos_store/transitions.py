"""The only place where a job changes its state: one guarded UPDATE and its event, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, insert, null, select, update
from sqlalchemy.orm import Session

from . import survivors, usage
from .announcements import announce_dataset, announce_job
from .engine import now
from .errors import LeaseLost, UploadCancelled, WrongState
from .states import FINISHED, LIVE, Event, Kind, State, sources
from .tables import Dataset, Job, JobEvent

__all__ = ["Claim", "conclude", "held", "hold", "record", "transition", "write"]


@dataclass(frozen=True)
class Claim:
    """A worker's right to a job; each write of that worker carries `fence`."""

    job_id: str
    project_id: str
    kind: str
    fence: int
    attempt: int
    dataset_id: str
    analysis_id: str | None
    spec: dict[str, Any]
    plan: dict[str, Any] | None
    seed: int
    checkpoint_update: int | None
    limits: dict[str, Any]
    deadline: float | None = None
    request_id: str | None = None
    start: dict[str, Any] | None = None


def transition(session: Session, event: Event, *conditions: ColumnElement[bool], **values: Any) -> Sequence[Job]:
    """Moves each job that meets the conditions and is in a state that knows the event."""
    after = sources(event)
    changes: dict[str, Any] = {
        "status": case({state.value: target.value for state, target in after.items()}, value=Job.status),
        "finished_at": _ending(after, FINISHED, now(), Job.finished_at),
        "lease_owner": _ending(after, LIVE, Job.lease_owner, null()),
        "lease_until": _ending(after, LIVE, Job.lease_until, null()),
        "stage": _ending(after, LIVE, Job.stage, null()),
        "ran_s": usage.run_time(after),
        "version": Job.version + 1,
    }
    statement = update(Job).where(Job.status.in_([state.value for state in after]), *conditions)
    returning = statement.values(**(changes | values)).returning(Job)
    jobs = session.scalars(returning, execution_options={"synchronize_session": False, "populate_existing": True}).all()
    for project_id in sorted({job.project_id for job in jobs if job.ran_s}):
        ran_s = sum(job.ran_s or 0.0 for job in jobs if job.project_id == project_id)
        usage.charge(session, project_id, core_seconds=ran_s)
    for job in jobs:
        data = {"status": job.status, "event": event.value, "attempt": job.attempt}
        record(session, job.id, "status", data | ({"code": job.error.get("code")} if job.error else {}))
        if job.kind == Kind.ingest and job.status in FINISHED - {State.succeeded}:
            _leave_unread(session, job)
        if job.kind == Kind.train and job.status == State.failed:
            survivors.keep(session, job)
        announce_job(session, job)
    return jobs


def _leave_unread(session: Session, job: Job) -> None:
    """An upload that no job will read any more has failed, whichever way the job ended."""
    problem = job.error or UploadCancelled(f"Job {job.id} was cancelled.", job_id=job.id).problem()
    unread = update(Dataset).where(Dataset.id == job.dataset_id, Dataset.status == "processing")
    statement = unread.values(status="failed", error=problem).returning(Dataset)
    options = {"synchronize_session": False, "populate_existing": True}
    for dataset in session.scalars(statement, execution_options=options):
        announce_dataset(session, dataset)


def _ending(after: Mapping[State, State], states: frozenset[State], then: Any, otherwise: Any) -> ColumnElement[Any]:
    leading_there = [state.value for state, target in after.items() if target in states]
    return case((Job.status.in_(leading_there), then), else_=otherwise)


def record(session: Session, job_id: str, kind: str, data: Mapping[str, Any]) -> None:
    session.execute(insert(JobEvent).values(job_id=job_id, type=kind, data=dict(data)))


def held(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    """The fence: the job is still this claim's."""
    return Job.id == claim.job_id, Job.fence == claim.fence, Job.status.in_([state.value for state in LIVE])


def hold(session: Session, claim: Claim) -> State:
    """Locks the job's row until the transaction ends, so that other rows can be written under the fence."""
    status = session.scalar(select(Job.status).where(*held(claim)).with_for_update())
    if status is None:
        raise LeaseLost(f"Worker no longer owns job {claim.job_id}.", job_id=claim.job_id, fence=claim.fence)
    return State(status)


def write(session: Session, claim: Claim, **values: Any) -> State:
    """Changes columns under the fence; the state stays."""
    statement = update(Job).where(*held(claim)).values(**values).returning(Job.status)
    status = session.execute(statement, execution_options={"synchronize_session": False}).scalar_one_or_none()
    if status is None:
        raise LeaseLost(f"Worker no longer owns job {claim.job_id}.", job_id=claim.job_id, fence=claim.fence)
    return State(status)


def conclude(session: Session, claim: Claim, event: Event, *conditions: ColumnElement[bool], **values: Any) -> Job:
    """A transition by the claim's owner, or the reason why there was none."""
    jobs = transition(session, event, *held(claim), *conditions, **values)
    if not jobs:
        status = hold(session, claim)
        raise WrongState(f"A {status} job cannot {event}.", status=status.value, event=event.value)
    return jobs[0]
