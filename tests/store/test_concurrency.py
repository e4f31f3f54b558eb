"""Many threads at once, on both databases."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from typing import TypeVar

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from chaos_store import commands, jobs, leaders
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import AsyncDatabase, Database, open_database
from chaos_store.errors import LeaseLost, StoreError
from chaos_store.settings import Settings
from chaos_store.states import TRANSITIONS, Event, State
from chaos_store.tables import Blob, BlobChunk, Job, JobEvent, Metric

WORKERS = 20
NewJob = Callable[..., str]
Result = TypeVar("Result")


def _together(work: Callable[[int], Result]) -> list[Result]:
    """Runs `work` in all threads, starting at the same moment."""
    barrier = threading.Barrier(WORKERS)

    def run(number: int) -> Result:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(run, range(WORKERS)))


def test_of_twenty_workers_that_claim_one_job_one_gets_it(database: Database, new_job: NewJob) -> None:
    job_id = new_job()

    def claim(number: int) -> jobs.Claim | None:
        with database.write.begin() as session:
            return jobs.claim(session, job_id, f"w{number}", 6.0)

    won = [claim for claim in _together(claim) if claim is not None]
    assert [(claim.fence, claim.attempt) for claim in won] == [(1, 1)]


def test_workers_with_their_own_connections_share_jobs_out_without_a_locked_database(
    settings: Settings, database: Database, project_id: str, new_job: NewJob
) -> None:
    job_ids = [new_job() for _ in range(10)]
    databases = [open_database(settings) for _ in range(4)]

    def work(number: int) -> int:
        mine, done = databases[number % 4], 0
        for job_id in job_ids:
            with mine.write.begin() as session:
                claim = jobs.claim(session, job_id, f"w{number}", 60.0)
            if claim is None:
                continue
            for step in range(3):
                with mine.write.begin() as session:
                    jobs.heartbeat(session, claim, 60.0)
                    jobs.add_metrics(session, claim, [("loss", step, 0.5, 0.0)])
            with mine.write.begin() as session:
                jobs.succeed(session, claim)
            done += 1
        return done

    assert sum(_together(work)) == len(job_ids)
    for opened in databases:
        opened.dispose()
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Job).where(Job.status == "succeeded")) == 10
        assert session.scalar(select(func.count()).select_from(Metric)) == 30
        assert session.scalar(select(func.count()).select_from(JobEvent)) == 30


def test_of_many_that_end_a_job_at_once_one_ends_it(database: Database, project_id: str, new_job: NewJob) -> None:
    job_id = new_job()
    with database.write.begin() as session:
        claim = jobs.claim(session, job_id, "w", 6.0)
    assert claim is not None
    ends = [jobs.succeed, jobs.release, lambda session, claim: jobs.fail(session, claim, {"code": "x"})]

    def end(number: int) -> str | None:
        try:
            with database.write.begin() as session:
                return ends[number % 3](session, claim).status
        except LeaseLost:
            return None

    assert len([status for status in _together(end) if status is not None]) == 1
    with database.read() as session:
        assert len(session.scalars(jobs.events(project_id, job_id)).all()) == 3


def test_cancelling_while_the_job_is_claimed_and_finished_leaves_one_clear_end(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    job_ids = [new_job() for _ in range(WORKERS // 2)]

    def act(number: int) -> None:
        job_id = job_ids[number // 2]
        try:
            if number % 2:
                with database.write.begin() as session:
                    commands.request_cancel(session, project_id, job_id)
            else:
                with database.write.begin() as session:
                    claim = jobs.claim(session, job_id, "w", 60.0)
                if claim is not None:
                    with database.write.begin() as session:
                        jobs.succeed(session, claim)
        except StoreError as error:
            assert error.code == "job_not_cancellable"

    _together(act)
    with database.read() as session:
        for job_id in job_ids:
            history = [event.data["status"] for event in session.scalars(jobs.events(project_id, job_id))]
            assert history[-1] in ("succeeded", "cancelled")
            assert len([status for status in history if status in ("succeeded", "cancelled")]) == 1


def test_clients_and_workers_at_once_leave_a_path_that_the_table_knows(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    job_id = new_job()
    asked = [
        commands.request_pause,
        commands.request_resume,
        commands.request_cancel,
        lambda session, project_id, job_id: commands.request_retry(session, project_id, job_id, fresh=False),
        commands.request_resume,
    ]
    ends = [jobs.confirm_pause, jobs.confirm_cancel, lambda session, claim: jobs.fail(session, claim, {})]

    def work(number: int) -> None:
        with database.write.begin() as session:
            claim = jobs.claim(session, job_id, f"w{number}", 60.0)
        for end in (ends[number % len(ends)], jobs.release) if claim else ():
            time.sleep(0.01)
            with suppress(StoreError), database.write.begin() as session:
                end(session, claim)

    def act(number: int) -> None:
        for turn in range(6):
            if number % 2:
                with suppress(StoreError), database.write.begin() as session:
                    asked[(number // 2 + turn) % len(asked)](session, project_id, job_id)
            else:
                work(number // 2 + turn)

    _together(act)
    with database.read() as session:
        told = [event.data for event in session.scalars(jobs.events(project_id, job_id, limit=1000))]
        assert session.get_one(Job, job_id).status == told[-1]["status"]
    assert len(told) > 3
    for before, after in pairwise(told):
        assert TRANSITIONS[State(before["status"]), Event(after["event"])] == after["status"]


def test_two_reapers_take_each_lost_job_once(
    database: Database, project_id: str, new_job: NewJob, pass_time: Callable[[float], None]
) -> None:
    job_ids = [new_job() for _ in range(12)]
    with database.write.begin() as session:
        for job_id in job_ids:
            jobs.claim(session, job_id, "w", 6.0)
    pass_time(7)

    def reap(_number: int) -> None:
        with database.write.begin() as session:
            jobs.reap(session)

    _together(reap)
    with database.read() as session:
        for job_id in job_ids:
            events = session.scalars(jobs.events(project_id, job_id)).all()
            assert [event.data["event"] for event in events] == ["create", "claim", "lose_lease"]


@pytest.mark.parametrize("settings", ["postgres"], indirect=True)
def test_a_transaction_of_a_frozen_process_is_ended_and_its_job_can_be_taken(
    settings: Settings, database: Database, new_job: NewJob
) -> None:
    frozen, job_id = open_database(settings), new_job()
    with database.write.begin() as session:
        claim = jobs.claim(session, job_id, "w", 0.1)
        assert claim is not None
    with pytest.raises(OperationalError), frozen.write.begin() as session:
        assert session.scalar(text("SHOW idle_in_transaction_session_timeout")) == "15s"
        session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 200"))
        jobs.heartbeat(session, claim, 1000.0)
        assert leaders.lead(session, "reaper", "frozen", 1000.0)
        with database.write.begin() as other:
            assert not leaders.lead(other, "reaper", "awake", 1000.0)
            assert jobs.reap(other) == []
        time.sleep(0.6)
        with database.write.begin() as other:
            assert leaders.lead(other, "reaper", "awake", 1000.0)
            assert jobs.reap(other) == [(job_id, "train")]
        jobs.heartbeat(session, claim, 1000.0)
    frozen.dispose()


def test_of_many_candidates_one_leads_until_its_time_is_over(
    database: Database, pass_time: Callable[[float], None]
) -> None:
    def stand(number: int) -> bool:
        with database.write.begin() as session:
            return leaders.lead(session, "reaper", f"w{number}", 6.0)

    elected = _together(stand)
    assert elected.count(True) == 1
    leader = elected.index(True)
    assert stand(leader)
    assert not stand(leader + 1)
    pass_time(7)
    assert stand(leader + 1)
    assert not stand(leader)


def test_the_same_bytes_stored_at_once_by_many_are_one_blob(database: Database) -> None:
    refs = _together(lambda _number: DatabaseBlobs().store(database, [b"same"]))
    assert len(set(refs)) == 1
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Blob)) == 1
        assert session.scalar(select(func.count()).select_from(BlobChunk)) == 1


def test_a_reader_is_not_held_up_by_a_writer(database: Database, project_id: str, new_job: NewJob) -> None:
    job_id = new_job()
    with database.write.begin() as writing:
        jobs.claim(writing, job_id, "w", 6.0)
        with database.read() as reading:
            assert reading.scalars(jobs.get(project_id, job_id)).one().status == "queued"


async def test_the_event_loop_runs_the_same_functions_at_once(
    async_database: AsyncDatabase, project_id: str, dataset_id: str
) -> None:
    async def create(number: int) -> str:
        async with async_database.write.begin() as session:
            job = await session.run_sync(
                lambda inner: jobs.create(
                    inner, project_id=project_id, kind="train", dataset_id=dataset_id, seed=number, max_attempts=3
                )
            )
        return job.id

    made = await asyncio.gather(*[create(number) for number in range(WORKERS)])
    async with async_database.read() as session:
        page = (await session.scalars(jobs.page(project_id, limit=200))).all()
    assert {job.id for job in page} == set(made)
    assert {job.seed for job in page} == set(range(WORKERS))
