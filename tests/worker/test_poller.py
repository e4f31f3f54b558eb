"""Jobs are found in the database without any message."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos_store import datasets, jobs
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from worker.poller import Poller
from worker.slots import Slots
from worker.spare import Spares


@pytest.fixture
def spares(tmp_path: Path) -> Iterator[Spares]:
    kept = Spares(tmp_path)
    yield kept
    kept.close()


def submit(database: Database, project_id: str) -> str:
    with database.write.begin() as session:
        content = DatabaseBlobs().put(session, [b"raw"])
        dataset = datasets.create(session, project_id=project_id, name="raw", content=content)
        return jobs.create(session, project_id=project_id, kind="ingest", dataset_id=dataset.id, max_attempts=3).id


def ready(database: Database, project_id: str) -> str:
    with database.write.begin() as session:
        content = DatabaseBlobs().put(session, [b"raw"])
        dataset = datasets.create(session, project_id=project_id, name="ready", content=content)
        dataset.status = "ready"
        return dataset.id


def test_a_due_job_is_found_and_run_in_a_thread_of_its_own(database: Database, project_id: str, spares: Spares) -> None:
    found: list[tuple[str, str, bool]] = []
    ran = threading.Event()

    def run_job(job_id: str, kind: str) -> None:
        found.append((job_id, kind, threading.current_thread() is threading.main_thread()))
        ran.set()

    job_id = submit(database, project_id)
    poller = Poller(database, Slots(training=1), spares, run_job, period_s=30)
    poller.start()
    assert ran.wait(5)
    poller.stop()
    assert found == [(job_id, "ingest", False)]


def test_nothing_is_taken_while_its_slot_is_busy_and_a_poke_looks_again(
    database: Database, project_id: str, spares: Spares
) -> None:
    ran = threading.Event()
    slots = Slots(training=1)
    assert slots.take("analyse")
    submit(database, project_id)
    poller = Poller(database, slots, spares, lambda _job_id, _kind: ran.set(), period_s=30)
    poller.start()
    assert not ran.wait(0.5)
    slots.give_back("analyse")
    poller.poke()
    assert ran.wait(5)
    poller.stop()


def test_of_jobs_that_share_a_slot_the_oldest_is_next_whatever_its_kind(
    database: Database, project_id: str, spares: Spares
) -> None:
    upload, dataset_id = submit(database, project_id), ready(database, project_id)
    with database.write.begin() as session:
        for _ in range(2):
            jobs.create(session, project_id=project_id, kind="analyse", dataset_id=dataset_id, max_attempts=3)
    first: list[str] = []
    ran = threading.Event()

    def run_job(job_id: str, _kind: str) -> None:
        first.append(job_id)
        ran.set()

    poller = Poller(database, Slots(training=1), spares, run_job, period_s=30)
    poller.start()
    assert ran.wait(5)
    poller.stop()
    assert first == [upload]
