"""Workers without a broker and an API, on a database of their own."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import select

from chaos_core.systems import lorenz63
from chaos_store import datasets, jobs, keys, trained
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.states import FINISHED
from chaos_store.tables import Job, Metric

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120.0
TRAINING = {
    "cell": {"kind": "clipped_shplrnn", "latent": 3, "hidden": 20},
    "training": {
        "updates": 60_000,
        "sequence_length": 30,
        "batch_size": 16,
        "validations": 12,
        "restarts": 1,
        "device": "cpu",
    },
}
ENDLESS = {**TRAINING, "training": {**TRAINING["training"], "updates": 400_000, "validations": 100}}


class Bench:
    """One database, and workers of it that come and go."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self.settings = database, settings
        self.workers: list[subprocess.Popen[bytes]] = []
        self.seen: set[psutil.Process] = set()
        with database.write.begin() as session:
            self.project_id = keys.create_project(session, "test").id
            content = DatabaseBlobs().put(session, [lorenz63(1500, dt=0.05, seed=0).to_npz()])
            facts = {"format": "npy", "series_sha256": content.sha256, "rows": 1500, "channels": 3, "dt": 0.05}
            facts |= {"names": ["x", "y", "z"], "missing_count": 0, "stretches": 1}
            self.dataset_id = datasets.create(
                session, project_id=self.project_id, name="lorenz", content=content, facts=datasets.Facts(**facts)
            ).id

    def start_worker(self, **settings: str) -> None:
        environment = os.environ | {
            "CHAOS_DATA_DIR": str(self.settings.data_dir),
            "CHAOS_DATABASE_URL": self.settings.database_url,
            "CHAOS_BROKER_URL": "redis+socket:///nowhere/broker.sock",
            "CHAOS_POLL_S": "0.3",
            "CHAOS_LEASE_S": "90",
            "CHAOS_CHECKPOINT_S": "0.5",
            "CHAOS_WORKER_KINDS": "train",
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        with (self.settings.data_dir / "worker.log").open("ab") as log:
            command = [sys.executable, "-m", "worker"]
            self.workers.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    def post(self, spec: dict[str, Any], **limits: float) -> str:
        with self.database.write.begin() as session:
            return jobs.create(
                session,
                project_id=self.project_id,
                kind="train",
                dataset_id=self.dataset_id,
                spec=spec,
                seed=3,
                max_attempts=5,
                limits=limits,
            ).id

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return session.scalars(jobs.get(self.project_id, job_id)).one()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, (self.settings.data_dir / "worker.log").read_text()[-4000:]
            self.runners()
            time.sleep(0.05)

    def finish(self, job_id: str) -> Job:
        self.until(lambda: self.job(job_id).status in FINISHED)
        return self.job(job_id)

    def saved(self, job_id: str, times: int) -> None:
        """Waits until the job has been saved so often."""

        def often() -> bool:
            job = self.job(job_id)
            assert job.status not in FINISHED, job.error
            with self.database.read() as session:
                events = session.scalars(jobs.events(self.project_id, job_id, limit=1000)).all()
            return sum(event.type == "checkpoint" for event in events) >= times

        self.until(often)

    def runners(self) -> list[psutil.Process]:
        """Oldest first: the spare is the youngest."""
        family = [child for worker in self.workers if worker.poll() is None for child in _children(worker.pid)]
        self.seen.update(family)
        return sorted(family, key=lambda child: child.create_time())

    def close(self) -> None:
        self.runners()
        self.workers[-1].send_signal(signal.SIGTERM)
        assert self.workers[-1].wait(60) == 0
        assert psutil.wait_procs(self.seen, timeout=5)[1] == [], "no process is left behind"

    def result(self, job: Job) -> tuple[str, list[tuple[str, int, float | None]]]:
        """The sum of the weights, and every number measured on the way."""
        with self.database.read() as session:
            model = session.scalars(trained.get(self.project_id, str(job.model_id))).one()
            numbers = select(Metric.name, Metric.step, Metric.value).where(Metric.job_id == job.id)
            rows = session.execute(numbers.order_by(Metric.name, Metric.step)).all()
            weights = b"".join(DatabaseBlobs().read(session, model.sha256))
        return hashlib.sha256(weights).hexdigest(), [tuple(row) for row in rows]


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
