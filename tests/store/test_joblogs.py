"""Lines of jobs are written by who has the job, and the newest stay."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from chaos_store import commands, joblogs, jobs
from chaos_store.engine import Database
from chaos_store.errors import LeaseLost
from chaos_store.joblogs import Line
from chaos_store.tables import Job, JobLog

MOST: dict[str, Any] = {"most_lines": 100, "most_bytes": 10_000}


def take(database: Database, job_id: str) -> jobs.Claim:
    with database.write.begin() as session:
        claim = jobs.claim(session, job_id, "worker", 60.0)
    assert claim is not None
    return claim


def add(database: Database, claim: jobs.Claim, *messages: str, level: str = "info", **most: Any) -> None:
    with database.write.begin() as session:
        joblogs.add(session, claim, [Line(level, "runner", text) for text in messages], **(MOST | most))


def shown(database: Database, project_id: str, job_id: str, **where: Any) -> list[str]:
    with database.read() as session:
        return [row.message for row in session.scalars(joblogs.page(project_id, job_id, **where))]


def test_lines_come_back_in_order_by_page_and_level(
    database: Database, project_id: str, new_job: Callable[..., str]
) -> None:
    claim = take(database, new_job())
    add(database, claim, "one", "two")
    add(database, claim, "three ü", level="error")
    found = shown(database, project_id, claim.job_id)
    assert found == ["one", "two", "three ü"]
    assert shown(database, project_id, claim.job_id, levels=["error", "critical"]) == ["three ü"]
    with database.read() as session:
        first = session.scalars(joblogs.page(project_id, claim.job_id, limit=1)).one()
    assert (first.attempt, first.source, first.size) == (1, "runner", 3)
    assert shown(database, project_id, claim.job_id, after=first.seq, limit=1) == ["two"]
    assert shown(database, "prj_other", claim.job_id) == []


def test_only_who_has_the_job_writes(database: Database, project_id: str, new_job: Callable[..., str]) -> None:
    claim = take(database, new_job())
    with database.write.begin() as session:
        jobs.release(session, claim)
    with pytest.raises(LeaseLost):
        add(database, claim, "too late")
    assert shown(database, project_id, claim.job_id) == []


@pytest.mark.parametrize("most", [{"most_lines": 10}, {"most_bytes": 100}])
def test_the_oldest_lines_make_room_and_are_counted(
    database: Database, project_id: str, new_job: Callable[..., str], most: dict[str, int]
) -> None:
    claim = take(database, new_job())
    for number in range(0, 60, 3):
        add(database, claim, *(f"line {number + n:05}" for n in range(3)), **most)
    found = shown(database, project_id, claim.job_id)
    assert 5 <= len(found) <= 10 and found[-1] == "line 00059"
    with database.read() as session:
        job = session.get_one(Job, claim.job_id)
    assert (job.log_lines_cut, job.log_bytes_cut) == (60 - len(found), 10 * (60 - len(found)))


def test_one_line_over_the_limit_stays(database: Database, project_id: str, new_job: Callable[..., str]) -> None:
    claim = take(database, new_job())
    add(database, claim, "short", "x" * 500, most_bytes=100)
    assert shown(database, project_id, claim.job_id) == ["x" * 500]


def test_lines_go_with_their_job(database: Database, project_id: str, new_job: Callable[..., str]) -> None:
    claim = take(database, new_job())
    add(database, claim, "one")
    with database.write.begin() as session:
        jobs.succeed(session, claim)
        commands.delete(session, project_id, claim.job_id)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(JobLog)) == 0
