"""Lines about jobs: what workers and runners said, the newest of them as far as a job may keep."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Select, delete, func, insert, select
from sqlalchemy.orm import Session

from .engine import now
from .tables import Job, JobLog
from .transitions import Claim, hold, write

__all__ = ["LEVELS", "Line", "add", "page"]

LEVELS = ("debug", "info", "warning", "error", "critical")
KEPT_SHARE = 0.9
"""Where the limit is crossed, a little more is taken away, so that this is seldom."""


class Line(NamedTuple):
    """`age_s` is how long ago it was said."""

    level: str
    source: str
    message: str
    age_s: float = 0.0


def page(
    project_id: str, job_id: str, *, after: int = 0, limit: int = 200, levels: Iterable[str] | None = None
) -> Select[JobLog]:
    mine = select(JobLog).join(Job, Job.id == JobLog.job_id).where(Job.project_id == project_id, Job.id == job_id)
    if levels is not None:
        mine = mine.where(JobLog.level.in_(list(levels)))
    return mine.where(JobLog.seq > after).order_by(JobLog.seq).limit(limit)


def add(session: Session, claim: Claim, lines: Sequence[Line], *, most_lines: int, most_bytes: int) -> None:
    """Under the fence; the oldest lines of the job make room, and the job counts them."""
    hold(session, claim)
    at = session.scalar(select(now())) or 0.0
    rows = [
        {
            "job_id": claim.job_id,
            "attempt": claim.attempt,
            "source": line.source,
            "level": line.level,
            "message": line.message,
            "size": len(line.message.encode()),
            "created_at": at - line.age_s,
        }
        for line in lines
    ]
    session.execute(insert(JobLog), rows)
    held = select(func.count(), func.coalesce(func.sum(JobLog.size), 0)).where(JobLog.job_id == claim.job_id)
    count, size = session.execute(held).one()
    if count > most_lines or size > most_bytes:
        _cut(session, claim, int(KEPT_SHARE * most_lines), int(KEPT_SHARE * most_bytes))


def _cut(session: Session, claim: Claim, lines: int, size: int) -> None:
    own = JobLog.job_id == claim.job_id
    newest = select(JobLog.seq, JobLog.size).where(own).order_by(JobLog.seq.desc()).limit(lines)
    first_kept, room = 2**62, size
    for seq, bytes_ in session.execute(newest).all():
        room -= bytes_
        if room < 0 and first_kept < 2**62:
            break
        first_kept = seq
    gone = session.scalars(delete(JobLog).where(own, JobLog.seq < first_kept).returning(JobLog.size)).all()
    write(session, claim, log_lines_cut=Job.log_lines_cut + len(gone), log_bytes_cut=Job.log_bytes_cut + sum(gone))
