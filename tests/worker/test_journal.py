"""Trouble with the database: waited for as long as it makes sense, then an error that says what it was."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text, update

from chaos_store import artifacts, jobs
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database, open_database
from chaos_store.errors import LeaseLost, StorageFull
from chaos_store.jobs import Claim
from chaos_store.settings import Settings
from chaos_store.tables import Job
from tests.worker.desk import CHECKPOINT, DONE, Desk, made, saved, saved_best
from worker.journal import Journal

MIB = 1024 * 1024


def give_room(database: Database, bytes_more: int | None) -> None:
    """How much a SQLite database may still grow; None for no limit."""
    with database.write.begin() as session:
        pages = session.scalar(text("PRAGMA page_count"))
        free = session.scalar(text("PRAGMA freelist_count"))
        allowed = 1_000_000_000 if bytes_more is None else pages - free + bytes_more // 4096
        session.execute(text(f"PRAGMA max_page_count = {allowed}"))


def later(seconds: float, act: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


@pytest.fixture
def full_desk(sqlite_settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    database = open_database(sqlite_settings)
    project_id = request.getfixturevalue("project_id")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    yield Desk(
        database, sqlite_settings.model_copy(update={"heartbeat_s": 0.2}), project_id, scratch, threading.Event()
    )
    database.dispose()


@pytest.fixture
def settings(sqlite_settings: Settings) -> Settings:
    return sqlite_settings


@pytest.fixture
def claim(full_desk: Desk) -> Claim:
    job_id = full_desk.submit([])
    with full_desk.database.write.begin() as session:
        claimed = jobs.claim(session, job_id, "w", 6.0)
    assert claimed is not None
    return claimed


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(256)) * 4096 * 4)
    return path


def test_bytes_are_stored_once_there_is_room(full_desk: Desk, claim: Claim, file: Path) -> None:
    database = full_desk.database
    give_room(database, MIB)
    timer = later(1.0, lambda: give_room(database, None))
    blob = Journal(database, claim, 6.0).store(DatabaseBlobs(), file)
    timer.join()
    assert full_desk.stored(blob.sha256) == file.read_bytes()


def test_a_disk_that_stays_full_is_a_typed_error_and_leaves_the_lease(
    full_desk: Desk, claim: Claim, file: Path
) -> None:
    give_room(full_desk.database, MIB)
    journal = Journal(full_desk.database, claim, 6.0)
    with pytest.raises(StorageFull):
        journal.store(DatabaseBlobs(), file, patience_s=0.1)
    assert journal.heartbeat() == "running"
    with full_desk.database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM blob_chunk")) == 1, "nothing half written stays"


def test_without_a_database_the_lease_is_given_up_when_it_is_over(tmp_path: Path, claim: Claim) -> None:
    nowhere = open_database(Settings(data_dir=tmp_path / "elsewhere"))
    started_at = time.monotonic()
    with pytest.raises(LeaseLost):
        Journal(nowhere, claim, 0.7).write(lambda session: session.execute(update(Job).values(stage="x")))
    nowhere.dispose()
    assert 0.7 <= time.monotonic() - started_at < 5


def test_a_checkpoint_without_room_is_left_out_and_the_training_goes_on(full_desk: Desk) -> None:
    job_id = full_desk.submit([*CHECKPOINT, *saved(9, "x", times=4 * MIB), *saved(10, "small"), *DONE])
    give_room(full_desk.database, MIB)
    full_desk.attempt(job_id)
    assert full_desk.job(job_id).status == "succeeded"
    assert [checkpoint.update for checkpoint in full_desk.checkpoints(job_id)] == [10, 5]


def test_a_failed_job_without_room_for_its_model_still_says_why(full_desk: Desk) -> None:
    job_id = full_desk.submit([*saved_best(9, times=4 * MIB), {"exit": 81}])
    give_room(full_desk.database, MIB)
    full_desk.attempt(job_id)
    job = full_desk.job(job_id)
    assert (job.status, job.model_id) == ("failed", None)
    assert job.error is not None and job.error["code"] == "diverged"


def test_a_result_waits_for_room_while_its_lease_is_renewed(full_desk: Desk) -> None:
    job_id = full_desk.submit([*made("x", times=4 * MIB), *DONE])
    give_room(full_desk.database, MIB)
    timer = later(2.5, lambda: give_room(full_desk.database, None))
    full_desk.attempt(job_id)
    timer.join()
    job = full_desk.job(job_id)
    assert (job.status, job.attempt) == ("succeeded", 1), job.error
    with full_desk.database.read() as session:
        assert len(session.scalars(artifacts.of_job(full_desk.project_id, job_id)).all()) == 1
