"""Jobs: what clients ask, what workers do with them, and what becomes of those that workers lose."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypedDict, Unpack

from sqlalchemy import ColumnElement, Select, case, delete, func, literal, not_, or_, select, update
from sqlalchemy.orm import Session

from chaos_core.errors import DeadlinePassed

from . import capacity, logs
from .engine import insert_for, now
from .errors import DatasetNotReady, NotFound, PlanFrozen, QueueFull, WorkerLost
from .paging import Place, window
from .splits import with_split
from .states import LIVE, Event, Kind, State, sources
from .tables import Dataset, Job, JobEvent, Metric
from .transitions import Claim, conclude, held, hold, record, transition, write

__all__ = [
    "Claim",
    "MetricRow",
    "Progress",
    "Wake",
    "abandon",
    "add_metrics",
    "claim",
    "claimable",
    "confirm_cancel",
    "confirm_pause",
    "create",
    "events",
    "fail",
    "freeze_plan",
    "get",
    "heartbeat",
    "hold",
    "lose",
    "mark_woken",
    "metrics",
    "page",
    "progress",
    "reap",
    "record_event",
    "release",
    "succeed",
]

REAP_BATCH = 50
BACKOFF_S = (0.0, 0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
LONGEST_BACKOFF_S = 30.0


class Wake(NamedTuple):
    job_id: str
    kind: str


class MetricRow(NamedTuple):
    name: str
    step: int
    value: float
    wall: float


class Progress(TypedDict, total=False):
    stage: str
    progress_update: int
    progress_total: int
    kernel: str
    device: str
    scores: dict[str, Any]
    baselines: dict[str, Any]


def create(
    session: Session,
    *,
    project_id: str,
    kind: str,
    dataset_id: str,
    max_attempts: int,
    analysis_id: str | None = None,
    spec: Mapping[str, Any] | None = None,
    seed: int = 0,
    labels: Mapping[str, str] | None = None,
    limits: Mapping[str, Any] | None = None,
    priority: int = 0,
    deadline: float | None = None,
    cloned_from: str | None = None,
    start: Mapping[str, Any] | None = None,
    max_queued: int | None = None,
) -> Job:
    """A queued job. `woken_at` is set at once: a wake-up call that never came is repeated by the reaper."""
    wanted = select(Dataset.status, Dataset.split).where(Dataset.project_id == project_id, Dataset.id == dataset_id)
    found = session.execute(wanted.with_for_update(read=True, key_share=True)).first()
    if found is None:
        raise NotFound(f"There is no dataset {dataset_id}.", kind="dataset", id=dataset_id)
    status, split = found
    if status != "ready" and kind != Kind.ingest:
        raise DatasetNotReady(f"Dataset {dataset_id} is {status}.", dataset_id=dataset_id, status=status)
    if max_queued is not None:
        _require_room(session, max_queued)
    capacity.require_turn(session, project_id)
    job = Job(
        project_id=project_id,
        kind=kind,
        dataset_id=dataset_id,
        analysis_id=analysis_id,
        spec=with_split(kind, spec, split),
        seed=seed,
        labels=dict(labels or {}),
        limits=dict(limits or {}),
        priority=priority,
        deadline=deadline,
        start=None if start is None else dict(start),
        start_sha256=None if start is None else start["sha256"],
        max_attempts=max_attempts,
        woken_at=now(),
        request_id=logs.bound("request_id"),
    )
    session.add(job)
    session.flush()
    origin = {} if cloned_from is None else {"cloned_from": cloned_from}
    record(session, job.id, "status", {"status": job.status, "event": "create", "attempt": 0} | origin)
    return job


def _require_room(session: Session, max_queued: int) -> None:
    """Counts no further than to the limit, over all projects."""
    waiting = select(Job.id).where(Job.status == State.queued.value).limit(max_queued).subquery()
    count = session.scalar(select(func.count()).select_from(waiting)) or 0
    if count >= max_queued:
        raise QueueFull(f"{count} jobs wait already.", value=count, limit=max_queued)


def get(project_id: str, job_id: str) -> Select[Job]:
    return select(Job).where(Job.project_id == project_id, Job.id == job_id)


def page(
    project_id: str,
    *,
    status: str | None = None,
    kind: str | None = None,
    dataset_id: str | None = None,
    labels: Mapping[str, str] | None = None,
    **place: Unpack[Place],
) -> Select[Job]:
    statement = select(Job).where(Job.project_id == project_id)
    for column, value in ((Job.status, status), (Job.kind, kind), (Job.dataset_id, dataset_id)):
        if value is not None:
            statement = statement.where(column == value)
    for name, value in (labels or {}).items():
        statement = statement.where(Job.labels[name].as_string() == value)
    return window(statement, Job, **place)


def events(project_id: str, job_id: str, *, after: int = 0, limit: int = 200) -> Select[JobEvent]:
    mine = select(JobEvent).join(Job, Job.id == JobEvent.job_id).where(Job.project_id == project_id, Job.id == job_id)
    return mine.where(JobEvent.seq > after).order_by(JobEvent.seq).limit(limit)


def metrics(
    project_id: str, job_id: str, *, names: Iterable[str] | None = None, after_step: int = -1
) -> Select[Metric]:
    mine = select(Metric).join(Job, Job.id == Metric.job_id).where(Job.project_id == project_id, Job.id == job_id)
    if names is not None:
        mine = mine.where(Metric.name.in_(list(names)))
    return mine.where(Metric.step > after_step).order_by(Metric.name, Metric.step)


def claimable(limit: int = 1, *, kinds: Iterable[str] | None = None) -> Select[str, str]:
    """Id and kind of due jobs that nobody has, by priority, then oldest first."""
    due = select(Job.id, Job.kind).where(Job.status == State.queued.value, Job.not_before <= now(), _in_time())
    if kinds is not None:
        due = due.where(Job.kind.in_(list(kinds)))
    return due.order_by(Job.priority.desc(), Job.created_at, Job.id).limit(limit)


def claim(session: Session, job_id: str, worker: str, ttl_s: float) -> Claim | None:
    """Takes the job, or None where it is taken, finished or not due: then the wake-up call is dropped."""
    jobs = transition(
        session,
        Event.claim,
        Job.id == job_id,
        Job.not_before <= now(),
        _in_time(),
        lease_owner=worker,
        lease_until=now() + ttl_s,
        fence=Job.fence + 1,
        attempt=Job.attempt + 1,
        attempts_since_checkpoint=Job.attempts_since_checkpoint + 1,
        claimed_at=now(),
        started_at=func.coalesce(Job.started_at, now()),
    )
    if not jobs:
        return None
    job = jobs[0]
    if job.fence > 1:
        resumed = -1 if job.checkpoint_update is None else job.checkpoint_update
        session.execute(delete(Metric).where(Metric.job_id == job.id, Metric.step > resumed))
    fields = Claim.__dataclass_fields__.keys() - {"job_id"}
    return Claim(job_id=job.id, **{name: getattr(job, name) for name in fields})


def heartbeat(session: Session, claim: Claim, ttl_s: float) -> str:
    """Renews the lease and tells the state, `cancelling` and `pausing` being requests to stop."""
    return write(session, claim, lease_until=now() + ttl_s).value


def progress(session: Session, claim: Claim, *, first_step: bool = False, **values: Unpack[Progress]) -> str:
    """Writes what is seen of the run; a new `stage` is also an event."""
    changes: dict[str, Any] = dict(values)
    if first_step or values.get("progress_update", 0) >= 1:
        changes["first_step_at"] = func.coalesce(Job.first_step_at, now())
    status = write(session, claim, version=Job.version + 1, **changes)
    if "stage" in values:
        record(session, claim.job_id, "stage", {"stage": values["stage"], "attempt": claim.attempt})
    return status.value


def record_event(session: Session, claim: Claim, kind: str, data: Mapping[str, Any]) -> None:
    hold(session, claim)
    record(session, claim.job_id, kind, data)


def freeze_plan(
    session: Session, claim: Claim, plan: Mapping[str, Any], plan_hash: str, analysis_id: str | None = None
) -> None:
    """Writes the plan once; the same plan again changes nothing, another one is refused."""
    hold(session, claim)
    stored = session.scalar(select(Job.plan_hash).where(Job.id == claim.job_id))
    if stored == plan_hash:
        return
    if stored is not None:
        raise PlanFrozen(f"Job {claim.job_id} already has the plan {stored}.", plan_hash=stored)
    changes = {"plan": dict(plan), "plan_hash": plan_hash, "version": Job.version + 1}
    write(session, claim, **changes, **({} if analysis_id is None else {"analysis_id": analysis_id}))
    record(session, claim.job_id, "plan", {"plan_hash": plan_hash})


def add_metrics(session: Session, claim: Claim, rows: Iterable[MetricRow | tuple[str, int, float, float]]) -> None:
    """Adds numbers by (name, step); the same step again replaces the number. Not finite is stored as NULL."""
    values = [
        {"job_id": claim.job_id, "name": name, "step": step, "value": _finite(value), "wall": wall}
        for name, step, value, wall in rows
    ]
    hold(session, claim)
    if values:
        statement = insert_for(session, Metric)
        changes = {"value": statement.excluded.value, "wall": statement.excluded.wall}
        session.execute(
            statement.on_conflict_do_update(index_elements=["job_id", "name", "step"], set_=changes), values
        )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def succeed(
    session: Session,
    claim: Claim,
    *,
    model_id: str | None = None,
    scores: Mapping[str, Any] | None = None,
    baselines: Mapping[str, Any] | None = None,
) -> Job:
    given = {"model_id": model_id, "scores": scores, "baselines": baselines}
    return conclude(
        session, claim, Event.succeed, **{name: value for name, value in given.items() if value is not None}
    )


def fail(session: Session, claim: Claim, problem: Mapping[str, Any]) -> Job:
    """Ends the job with the problem; one that was being cancelled ends cancelled, without it."""
    return conclude(session, claim, Event.fail, error=_where_it_fails(Event.fail, problem))


def _where_it_fails(event: Event, problem: Mapping[str, Any]) -> ColumnElement[Any]:
    failing = [state.value for state, after in sources(event).items() if after is State.failed]
    stored = literal(dict(problem), type_=Job.error.type)
    return case((Job.status.in_(failing), stored), else_=Job.error)


def release(session: Session, claim: Claim) -> Job:
    """Puts the job back, no attempt used: the worker is going down."""
    return conclude(session, claim, Event.release, not_before=now(), woken_at=None, **_attempt_unused())


def confirm_pause(session: Session, claim: Claim) -> Job:
    """The run has saved itself and stopped, no attempt used."""
    return conclude(session, claim, Event.confirm_pause, **_attempt_unused())


def _attempt_unused() -> dict[str, Any]:
    fruitless = Job.attempts_since_checkpoint
    return {"attempt": Job.attempt - 1, "attempts_since_checkpoint": case((fruitless > 0, fruitless - 1), else_=0)}


def lose(session: Session, claim: Claim, problem: Mapping[str, Any], *, pause_s: float = 0.0) -> Job:
    """The run died: back to the queue after a while, or failed with the problem where no attempt is left."""
    requeued = _requeued() | ({"not_before": now() + pause_s} if pause_s else {})
    jobs = transition(session, Event.lose_lease, *held(claim), _has_attempts(), **requeued)
    return jobs[0] if jobs else conclude(session, claim, Event.exhaust, error=_where_it_fails(Event.exhaust, problem))


def confirm_cancel(session: Session, claim: Claim) -> Job:
    return conclude(session, claim, Event.confirm_cancel)


def reap(session: Session, *, rewake_s: float = 5.0) -> list[Wake]:
    """Ends jobs whose deadline has passed and takes jobs from workers that fell silent; gives back the jobs that need
    a wake-up call."""
    late = DeadlinePassed("No worker had the job when its deadline passed.").problem()
    transition(session, Event.expire, _late(), error=late)
    _take_back(session, _expired)
    silent = or_(Job.woken_at.is_(None), Job.woken_at < now() - rewake_s)
    due = claimable(REAP_BATCH).where(silent)
    return [Wake(job_id, kind) for job_id, kind in session.execute(due)]


def abandon(session: Session, owners_prefix: str, alive: Callable[[str], bool]) -> list[str]:
    """Takes jobs at once from workers that are known to be dead; `alive` is asked for each name with the prefix."""
    mine = Job.lease_owner.startswith(owners_prefix, autoescape=True)
    owners = session.scalars(select(Job.lease_owner).where(_live(), mine).distinct()).all()
    dead = [owner for owner in owners if owner is not None and not alive(owner)]
    return _take_back(session, lambda: Job.lease_owner.in_(dead)) if dead else []


def _take_back(session: Session, lost: Callable[[], ColumnElement[bool]]) -> list[str]:
    problem = WorkerLost("No worker finished the job in the attempts allowed.").problem()
    back = transition(session, Event.lose_lease, _has_attempts(), lost(), **_requeued())
    ended = transition(
        session, Event.exhaust, not_(_has_attempts()), lost(), error=_where_it_fails(Event.exhaust, problem)
    )
    return [job.id for job in (*back, *ended)]


def mark_woken(session: Session, job_ids: Iterable[str]) -> None:
    statement = update(Job).where(Job.id.in_(list(job_ids))).values(woken_at=now())
    session.execute(statement, execution_options={"synchronize_session": False})


def _in_time() -> ColumnElement[bool]:
    return or_(Job.deadline.is_(None), Job.deadline > now())


def _late() -> ColumnElement[bool]:
    waiting = Job.status.in_([state.value for state in sources(Event.expire)])
    late = select(Job.id).where(waiting, Job.deadline <= now())
    return Job.id.in_(late.order_by(Job.id).limit(REAP_BATCH).with_for_update(skip_locked=True))


def _expired() -> ColumnElement[bool]:
    expired = select(Job.id).where(_live(), Job.lease_until < now())
    return Job.id.in_(expired.order_by(Job.id).limit(REAP_BATCH).with_for_update(skip_locked=True))


def _live() -> ColumnElement[bool]:
    return Job.status.in_([state.value for state in LIVE])


def _has_attempts() -> ColumnElement[bool]:
    return Job.attempts_since_checkpoint < Job.max_attempts


def _requeued() -> dict[str, Any]:
    pauses = dict(enumerate(BACKOFF_S))
    pause = case(pauses, value=Job.attempts_since_checkpoint, else_=LONGEST_BACKOFF_S)
    return {"not_before": now() + pause, "woken_at": None}
