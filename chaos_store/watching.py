"""What has become of jobs that somebody waits for: one statement, however many they are."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import BigInteger, Select, String, column, or_, select, values

from .tables import Job, JobEvent, Trajectory

__all__ = ["NO_EVENTS", "Known", "news"]

NO_EVENTS = 2**62
"""As `seq`: later than any event."""


class Known(NamedTuple):
    """What a listener has seen of a job: its version, and the number of its last event."""

    version: int
    seq: int


def news(known: Mapping[str, Known], limit: int) -> Select[str, Job | None, str | None, JobEvent | None]:
    """Id, row, newest trajectory and next events of each job that has changed; a job that is gone has no row.

    The numbers of one job's events grow in the order of their commits, since each is written under the job's lock;
    those of different jobs may not, hence the number per job.
    """
    columns = column("job_id", String), column("version", BigInteger), column("seq", BigInteger)
    rows = [(job_id, seen.version, seen.seq) for job_id, seen in known.items()]
    watched = values(*columns, name="given").data(rows).cte("watched")
    newest = select(Trajectory.id).where(Trajectory.job_id == Job.id)
    newest = newest.order_by(Trajectory.created_at.desc(), Trajectory.id.desc()).limit(1)
    return (
        select(watched.c.job_id, Job, newest.scalar_subquery(), JobEvent)
        .select_from(watched)
        .outerjoin(Job, Job.id == watched.c.job_id)
        .outerjoin(JobEvent, (JobEvent.job_id == watched.c.job_id) & (JobEvent.seq > watched.c.seq))
        .where(or_(Job.id.is_(None), Job.version > watched.c.version, JobEvent.seq.is_not(None)))
        .order_by(JobEvent.seq.nulls_first(), watched.c.job_id)
        .limit(limit)
    )
