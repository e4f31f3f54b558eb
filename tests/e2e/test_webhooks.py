"""A real worker process: what it does to a job reaches a receiver, signed, and the log says so."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook as Verifier

from chaos_store import datasets, jobs
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.settings import Settings
from tests.receivers import Receiver, answers
from tests.worker.hooked import LOCAL, Hooked, until

ROOT = Path(__file__).parents[2]
CSV = b"time,x\n" + b"".join(b"%d,%d\n" % (row, row * row % 101) for row in range(300))


@pytest.fixture
def worker(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    given = {
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "BROKER_URL": "redis+socket:///nowhere/broker.sock",
        "POLL_S": "0.2",
        "WORKER_KINDS": "light",
        "WEBHOOK_ALLOW_HTTP": "true",
        "WEBHOOK_ALLOWED_NETWORKS": LOCAL,
    }
    environment = os.environ | {f"CHAOS_{name}": value for name, value in given.items()} | {"PYTHONPATH": str(ROOT)}
    with (settings.data_dir / "worker.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "worker"], env=environment, stdout=log, stderr=log)
    yield process
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_what_a_worker_does_reaches_the_receiver(
    worker: subprocess.Popen[bytes], settings: Settings, database: Database, project_id: str
) -> None:
    hooked = Hooked(database, settings, project_id)
    with Receiver([answers(204)]) as receiver:
        webhook = hooked.add(receiver.url)
        with database.write.begin() as session:
            content = DatabaseBlobs().put(session, [CSV])
            dataset = datasets.create(
                session, project_id=project_id, name="squares", content=content, options={"name": "squares.csv"}
            )
            job = jobs.create(session, project_id=project_id, kind="ingest", dataset_id=dataset.id, max_attempts=3)
        requests = receiver.wait(3)
    told = [Verifier(webhook.secret).verify(found.body, found.headers) for found in requests]
    assert {(found["type"], found["data"]["id"]) for found in told} == {
        ("job.running", job.id),
        ("dataset.ready", dataset.id),
        ("job.succeeded", job.id),
    }
    until(lambda: {row.status for row in hooked.deliveries(webhook.id)} == {"succeeded"})
    assert webhook.secret not in (settings.data_dir / "worker.log").read_text()
