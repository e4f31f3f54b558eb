"""What projects use: run time and requests by day, stored bytes by kind."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Double, Integer, Select, case, cast, func, literal, select
from sqlalchemy.orm import Session

from .engine import insert_for, now
from .states import LIVE, State
from .tables import Dataset, Job, Project, ProjectUse

__all__ = ["PERIOD_DAYS", "charge", "core_seconds", "datasets", "jobs_by_status", "requests", "run_time"]

PERIOD_DAYS = 30
DAY_S = 86_400


def today() -> ColumnElement[int]:
    return cast(func.floor(now() / DAY_S), Integer)


def charge(session: Session, project_id: str, *, core_seconds: float = 0.0, requests: int = 0) -> None:
    """Adds to what the project used today; nothing where it was removed."""
    facts = [literal(requests, BigInteger), literal(core_seconds, Double)]
    theirs = select(Project.id, today(), *facts).where(Project.id == project_id)
    new = insert_for(session, ProjectUse).from_select(["project_id", "day", "requests", "core_seconds"], theirs)
    added = {
        "requests": ProjectUse.requests + new.excluded.requests,
        "core_seconds": ProjectUse.core_seconds + new.excluded.core_seconds,
    }
    session.execute(new.on_conflict_do_update(index_elements=["project_id", "day"], set_=added))


def run_time(after: Mapping[State, State]) -> ColumnElement[Any]:
    """Seconds of the attempt that a transition ends, 0 where it ends none; a silent worker's counts to its lease."""
    leaving = [state.value for state, target in after.items() if state in LIVE and target not in LIVE]
    return case((Job.status.in_(leaving), func.coalesce(_elapsed(), 0.0)), else_=0.0)


def _elapsed() -> ColumnElement[float]:
    return case((Job.lease_until < now(), Job.lease_until), else_=now()) - Job.claimed_at


def core_seconds(project_id: str) -> Select[float]:
    """Run time of the project's jobs in the period, that of the running ones included."""
    ended = select(func.coalesce(func.sum(ProjectUse.core_seconds), 0.0)).where(*_in_period(project_id))
    live = select(func.coalesce(func.sum(_elapsed()), 0.0)).where(
        Job.project_id == project_id, Job.status.in_([state.value for state in LIVE])
    )
    return select(ended.scalar_subquery() + live.scalar_subquery())


def requests(project_id: str) -> Select[int]:
    return select(func.coalesce(func.sum(ProjectUse.requests), 0)).where(*_in_period(project_id))


def datasets(project_id: str) -> Select[int]:
    return select(func.count()).select_from(Dataset).where(Dataset.project_id == project_id)


def jobs_by_status(project_id: str) -> Select[str, int]:
    return select(Job.status, func.count()).where(Job.project_id == project_id).group_by(Job.status)


def _in_period(project_id: str) -> tuple[ColumnElement[bool], ...]:
    return ProjectUse.project_id == project_id, ProjectUse.day > today() - PERIOD_DAYS
