"""A worker process by itself: no broker, no API, only the database."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from chaos_store import datasets, jobs, keys
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import open_database
from chaos_store.settings import Settings
from chaos_store.states import FINISHED

ROOT = Path(__file__).parents[2]
CSV = b"time,x\n" + b"".join(b"%d,%d\n" % (row, row * row % 101) for row in range(300))


@pytest.fixture
def worker(sqlite_settings: Settings) -> Iterator[psutil.Process]:
    environment = os.environ | {
        "CHAOS_DATA_DIR": str(sqlite_settings.data_dir),
        "CHAOS_BROKER_URL": "redis+socket:///nowhere/broker.sock",
        "CHAOS_POLL_S": "0.5",
        "PYTHONPATH": str(ROOT),
    }
    with (sqlite_settings.data_dir / "worker.log").open("wb") as log:
        started = subprocess.Popen([sys.executable, "-m", "worker"], env=environment, stdout=log, stderr=log)
    process = psutil.Process(started.pid)
    yield process
    family = process.children(recursive=True)
    started.send_signal(signal.SIGTERM)
    assert started.wait(30) == 0
    assert psutil.wait_procs(family, timeout=5)[1] == []
    assert list((sqlite_settings.data_dir / "scratch").iterdir()) == []


def test_without_a_broker_a_job_is_found_in_the_database_and_done(
    worker: psutil.Process, sqlite_settings: Settings
) -> None:
    database = open_database(sqlite_settings)
    with database.write.begin() as session:
        project_id = keys.create_project(session, "test").id
        content = DatabaseBlobs().put(session, [CSV])
        dataset = datasets.create(
            session, project_id=project_id, name="squares", content=content, options={"name": "squares.csv"}
        )
        job = jobs.create(session, project_id=project_id, kind="ingest", dataset_id=dataset.id, max_attempts=3)
    deadline = time.monotonic() + 40
    while job.status not in FINISHED and time.monotonic() < deadline:
        time.sleep(0.1)
        with database.read() as session:
            job = session.scalars(jobs.get(project_id, job.id)).one()
            dataset = session.scalars(datasets.get(project_id, dataset.id)).one()
    database.dispose()
    assert (job.status, dataset.status, dataset.rows, dataset.names) == ("succeeded", "ready", 300, ["x"]), job.error
    assert not [file.path for file in worker.memory_maps() if "libtorch" in file.path]
