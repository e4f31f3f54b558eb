"""A desk on which one attempt after another is made at jobs whose runner follows a script."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import update
from sqlalchemy.orm import Session

from chaos_core.systems import lorenz63
from chaos_store import checkpoints, datasets, joblogs, jobs
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import Checkpoint, Job, JobEvent, JobLog
from worker.journal import Journal
from worker.spare import Runner
from worker.supervisor import Supervisor

Script = list[dict[str, Any]]

PROGRESS = {"type": "progress", "update": 1, "total": 9, "metrics": [{"name": "loss", "step": 1, "value": 0.5}]}
DONE: Script = [{"say": {"type": "result", "values": {"scores": {"d_h": {"value": 0.1}}}}}]


def saved(update: int, content: str = "state", *, times: int = 1) -> Script:
    file = f"checkpoint-{update}"
    return [
        {"write": file, "content": content, "times": times},
        {"say": {"type": "checkpoint", "file": file, "update": update}},
    ]


def saved_best(update: int, weights: str = "weights", times: int = 1) -> Script:
    """A checkpoint with the model of the best state so far."""
    [write_state, say], [write_model, model] = saved(update), made(weights, f"model-{update}", times)
    return [write_state, write_model, {"say": say["say"] | {"best": True, "model": model["say"]}}]


def made(weights: str = "weights", file: str = "m.bin", times: int = 1) -> Script:
    message = {
        "type": "artifact",
        "kind": "model",
        "file": file,
        "name": "model.safetensors",
        "media_type": "application/vnd.safetensors",
        "facts": {"name": "plrnn", "config": {"format": "chaos-1"}, "parameter_count": 3},
    }
    return [{"write": file, "content": weights, "times": times}, {"say": message}]


CHECKPOINT = saved(5)
MODEL = made()
BEST = saved_best(3)


@dataclass
class Desk:
    database: Database
    settings: Settings
    project_id: str
    folder: Path
    stopping: threading.Event

    def submit(self, script: Script, max_attempts: int = 5, **limits: float) -> str:
        with self.database.write.begin() as session:
            content = DatabaseBlobs().put(session, [lorenz63(100, dt=0.05).to_npz()])
            facts = {"format": "npy", "series_sha256": content.sha256, "rows": 100, "channels": 3, "dt": 0.05}
            facts |= {"names": ["x", "y", "z"], "missing_count": 0, "stretches": 1}
            dataset = datasets.create(
                session, project_id=self.project_id, name="lorenz", content=content, facts=datasets.Facts(**facts)
            )
            return jobs.create(
                session,
                project_id=self.project_id,
                kind="train",
                dataset_id=dataset.id,
                spec={"script": script},
                max_attempts=max_attempts,
                limits=limits,
            ).id

    def rewrite(self, job_id: str, script: Script) -> None:
        """What the runner does in the attempts to come."""
        with self.database.write.begin() as session:
            session.execute(update(Job).where(Job.id == job_id).values(spec={"script": script}))

    def attempt(self, job_id: str) -> Runner:
        with self.database.write.begin() as session:
            session.execute(update(Job).where(Job.id == job_id).values(not_before=0.0))
            claim = jobs.claim(session, job_id, "worker-1", self.settings.lease_s)
        assert claim is not None
        folder = self.folder / f"{job_id}-{claim.fence}"
        runner = Runner(self.folder, "tests.worker.scripted_runner")
        journal = Journal(self.database, claim, self.settings.lease_s)
        Supervisor(journal, DatabaseBlobs(), self.settings, self.stopping, folder).run(runner)
        assert not psutil.pid_exists(runner.pid) and not folder.exists()
        return runner

    def run(self, script: Script, max_attempts: int = 5, **limits: float) -> Job:
        job_id = self.submit(script, max_attempts, **limits)
        self.attempt(job_id)
        return self.job(job_id)

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return session.scalars(jobs.get(self.project_id, job_id)).one()

    def events(self, job_id: str) -> list[JobEvent]:
        with self.database.read() as session:
            return list(session.scalars(jobs.events(self.project_id, job_id)))

    def said(self, job_id: str) -> list[JobLog]:
        with self.database.read() as session:
            return list(session.scalars(joblogs.page(self.project_id, job_id, limit=10_000)))

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Newest first, damaged ones too."""
        with self.database.read() as session:
            return list(session.scalars(checkpoints.of_job(self.project_id, job_id)))

    def stored(self, sha256: str) -> bytes:
        with self.database.read() as session:
            return b"".join(DatabaseBlobs().read(session, sha256))

    def command(self, command: Callable[[Session, str, str], object], job_id: str) -> None:
        with self.database.write.begin() as session:
            command(session, self.project_id, job_id)

    def interrupted(self, job_id: str, act: Callable[[], None]) -> Job:
        """An attempt during which something happens once its first progress is stored."""
        thread = self.meanwhile(job_id, act)
        self.attempt(job_id)
        thread.join()
        return self.job(job_id)

    def meanwhile(self, job_id: str, act: Callable[[], None]) -> threading.Thread:
        """Does something once the first progress of the job is stored."""

        def wait_and_act() -> None:
            deadline = time.monotonic() + 5
            while self.job(job_id).first_step_at is None and time.monotonic() < deadline:
                time.sleep(0.02)
            act()

        thread = threading.Thread(target=wait_and_act)
        thread.start()
        return thread
