"""What has become of jobs that somebody asks or waits for: one statement, however many they are."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, ScalarSelect, Select, String, column, or_, select, text, tuple_, values

from .artifacts import GENERATED
from .tables import Artifact, Job, JobEvent, Trajectory

__all__ = ["NO_EVENTS", "VERSIONS", "Key", "Known", "news", "whole"]

Key = tuple[str, str]
"""Project and id: a foreign job is not even looked at."""
_KEY = tuple_(Job.project_id, Job.id)
NO_EVENTS = 2**62
"""As `seq`: later than any event."""
EACH_KEY = {
    "sqlite": "json_each(:keys) AS given",
    "postgresql": "json_array_elements(CAST(:keys AS json)) AS given(value)",
}
VERSIONS = {
    dialect: text(
        f"SELECT job.project_id, job.id, job.version FROM {each} JOIN job ON job.id = given.value ->> 1"
        " WHERE job.project_id = given.value ->> 0"
    )
    for dialect, each in EACH_KEY.items()
}
"""Of those of the `keys`, a JSON list, that there are; as text, for it is the statement of all polls."""


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
    return (
        select(watched.c.job_id, Job, _own_trajectory(), JobEvent)
        .select_from(watched)
        .outerjoin(Job, Job.id == watched.c.job_id)
        .outerjoin(JobEvent, (JobEvent.job_id == watched.c.job_id) & (JobEvent.seq > watched.c.seq))
        .where(or_(Job.id.is_(None), Job.version > watched.c.version, JobEvent.seq.is_not(None)))
        .order_by(JobEvent.seq.nulls_first(), watched.c.job_id)
        .limit(limit)
    )


def whole(keys: Sequence[Key]) -> Select[Job, str | None]:
    """Each job and the trajectory that it stored."""
    return select(Job, _own_trajectory()).where(_KEY.in_(keys))


def _own_trajectory() -> ScalarSelect[str | None]:
    mine = select(Trajectory.id).join(Artifact, Artifact.id == Trajectory.artifact_id)
    mine = mine.where(Trajectory.job_id == Job.id, Artifact.kind != GENERATED)
    return mine.order_by(Trajectory.created_at.desc(), Trajectory.id.desc()).limit(1).scalar_subquery()
