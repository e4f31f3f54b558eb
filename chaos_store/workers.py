"""Workers: each tells of itself every few seconds, and is forgotten when it has long been silent."""

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, delete, func, select
from sqlalchemy.orm import Session

from .engine import insert_for, now
from .states import LIVE
from .tables import Job, Worker

__all__ = [
    "FORGOTTEN_AFTER_LEASES",
    "Work",
    "at_work",
    "bury",
    "count_alive",
    "forget",
    "forget_dead",
    "listed",
    "renew",
]

FORGOTTEN_AFTER_LEASES = 10
MOST_LISTED = 1000
QUIETLY = {"synchronize_session": False}


class Work(NamedTuple):
    worker: str | None
    job_id: str
    kind: str
    project_id: str


def renew(session: Session, name: str, **facts: Any) -> None:
    """A sign of life; the first one makes the row."""
    statement = insert_for(session, Worker).values(name=name, started_at=now(), seen_at=now(), **facts)
    session.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"seen_at": now()}))


def forget(session: Session, name: str) -> None:
    session.execute(delete(Worker).where(Worker.name == name), execution_options=QUIETLY)


def bury(session: Session, silent_s: float) -> list[str]:
    """Forgets those that gave no sign of life for so long."""
    silent = delete(Worker).where(Worker.seen_at < now() - silent_s).returning(Worker.name)
    return list(session.scalars(silent, execution_options=QUIETLY))


def forget_dead(session: Session, prefix: str, alive: Callable[[str], bool]) -> None:
    """At once, where somebody can tell; `alive` is asked for each name with the prefix."""
    names = session.scalars(select(Worker.name).where(Worker.name.startswith(prefix, autoescape=True))).all()
    for name in names:
        if not alive(name):
            forget(session, name)


def _alive(silent_s: float) -> ColumnElement[bool]:
    return Worker.seen_at >= now() - silent_s


def count_alive(silent_s: float) -> Select[int]:
    return select(func.count()).select_from(Worker).where(_alive(silent_s))


def listed(silent_s: float) -> Select[Worker, bool]:
    """Each worker, and whether it is alive: seen within so long."""
    return select(Worker, _alive(silent_s)).order_by(Worker.started_at, Worker.name).limit(MOST_LISTED)


def at_work() -> Select[str | None, str, str, str]:
    """`Work`: all that is under way."""
    live = Job.status.in_([state.value for state in LIVE])
    return select(Job.lease_owner, Job.id, Job.kind, Job.project_id).where(live).order_by(Job.created_at, Job.id)
