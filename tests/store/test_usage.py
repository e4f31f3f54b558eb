"""Run time is counted for each attempt, by the day, and stays when the job is deleted."""

from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from chaos_store import commands, jobs, usage
from chaos_store.engine import Database
from chaos_store.tables import Job, ProjectUse


def used(database: Database, project_id: str) -> float:
    with database.read() as session:
        return session.scalar(usage.core_seconds(project_id)) or 0.0


def age(database: Database, seconds: float, lease_s: float = 0.0) -> None:
    with database.write.begin() as session:
        moved = {"claimed_at": Job.claimed_at - seconds, "lease_until": Job.lease_until - lease_s}
        session.execute(update(Job).values(moved), execution_options={"synchronize_session": False})


def test_attempts_add_up_and_waiting_counts_nothing(
    database: Database, project_id: str, new_job: Callable[..., str]
) -> None:
    job_id = new_job()
    with database.write.begin() as session:
        commands.request_pause(session, project_id, job_id)
        commands.request_resume(session, project_id, job_id)
    assert used(database, project_id) == 0.0
    with database.write.begin() as session:
        claim = jobs.claim(session, job_id, "w", 60.0)
    assert claim is not None
    age(database, 100.0)
    assert used(database, project_id) == pytest.approx(100.0, abs=30)
    with database.write.begin() as session:
        jobs.release(session, claim)
    with database.write.begin() as session:
        again = jobs.claim(session, job_id, "w", 60.0)
    assert again is not None
    age(database, 1000.0)
    with database.write.begin() as session:
        commands.request_cancel(session, project_id, job_id)
        assert session.scalars(select(ProjectUse.core_seconds)).one() < 200.0
        jobs.confirm_cancel(session, again)
    assert used(database, project_id) == pytest.approx(1100.0, abs=60)
    with database.write.begin() as session:
        commands.delete(session, project_id, job_id)
    assert used(database, project_id) == pytest.approx(1100.0, abs=60)
    with database.write.begin() as session:
        session.execute(update(ProjectUse).values(day=ProjectUse.day - usage.PERIOD_DAYS))
    assert used(database, project_id) == 0.0


def test_a_worker_that_fell_silent_is_counted_to_the_end_of_its_lease(
    database: Database, project_id: str, new_job: Callable[..., str]
) -> None:
    job_id = new_job()
    with database.write.begin() as session:
        assert jobs.claim(session, job_id, "w", 6.0) is not None
    age(database, 5000.0, lease_s=4000.0)
    assert used(database, project_id) == pytest.approx(1006.0, abs=30)
    with database.write.begin() as session:
        jobs.reap(session)
    assert used(database, project_id) == pytest.approx(1006.0, abs=30)


def test_requests_of_many_processes_add_up(database: Database, project_id: str) -> None:
    for count in (3, 4):
        with database.write.begin() as session:
            usage.charge(session, project_id, requests=count)
    with database.read() as session:
        assert session.scalar(usage.requests(project_id)) == 7
