"""One attempt at one job, on both databases, with a real child that behaves as the script says."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import select, update

from chaos_core.errors import Diverged, OutOfMemory, RunError
from chaos_core.systems import lorenz63
from chaos_store import artifacts, checkpoints, commands, datasets, jobs, trained
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import BlobChunk, Job, JobEvent, Metric
from worker.journal import Journal
from worker.protocol import EXIT_INTERRUPTED, exit_code
from worker.spare import Runner
from worker.supervisor import Supervisor

Script = list[dict[str, Any]]

PROGRESS = {"type": "progress", "update": 1, "total": 9, "metrics": [{"name": "loss", "step": 1, "value": 0.5}]}
DONE: Script = [{"say": {"type": "result", "values": {"scores": {"d_h": {"value": 0.1}}}}}]
CHECKPOINT: Script = [
    {"write": "checkpoint-5", "content": "state"},
    {"say": {"type": "checkpoint", "file": "checkpoint-5", "update": 5}},
]
MODEL: Script = [
    {"write": "m.bin", "content": "weights"},
    {
        "say": {
            "type": "artifact",
            "kind": "model",
            "file": "m.bin",
            "name": "model.safetensors",
            "media_type": "application/vnd.safetensors",
            "facts": {"name": "plrnn", "config": {"format": "chaos-1"}, "parameter_count": 3},
        }
    },
]


@dataclass
class Desk:
    database: Database
    settings: Settings
    project_id: str
    folder: Path
    stopping: threading.Event

    def submit(self, script: Script, max_attempts: int = 5) -> str:
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
            ).id

    def attempt(self, job_id: str) -> Runner:
        with self.database.write.begin() as session:
            claim = jobs.claim(session, job_id, "worker-1", self.settings.lease_s)
        assert claim is not None
        folder = self.folder / f"{job_id}-{claim.fence}"
        folder.mkdir()
        runner = Runner(self.folder, "tests.worker.scripted_runner")
        journal = Journal(self.database, claim, self.settings.lease_s)
        Supervisor(journal, DatabaseBlobs(), self.settings, self.stopping, folder).run(runner)
        assert not psutil.pid_exists(runner.pid) and not folder.exists()
        return runner

    def run(self, script: Script, max_attempts: int = 5) -> Job:
        job_id = self.submit(script, max_attempts)
        self.attempt(job_id)
        return self.job(job_id)

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return session.scalars(jobs.get(self.project_id, job_id)).one()

    def events(self, job_id: str) -> list[JobEvent]:
        with self.database.read() as session:
            return list(session.scalars(jobs.events(self.project_id, job_id)))

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


@pytest.fixture
def desk(database: Database, settings: Settings, project_id: str, tmp_path: Path) -> Desk:
    quick = settings.model_copy(update={"heartbeat_s": 0.2, "cancel_grace_s": 0.3})
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Desk(database, quick, project_id, scratch, threading.Event())


def test_a_finished_run_is_stored_with_its_numbers(desk: Desk) -> None:
    started = {"type": "training", "kernel": "native", "device": "cpu", "update": 0, "total": 9}
    job = desk.run([{"say": started}, {"say": PROGRESS}, *CHECKPOINT, *MODEL, *DONE])
    assert (job.status, job.kernel, job.device, job.progress_update) == ("succeeded", "native", "cpu", 1)
    assert job.started_at is not None and job.first_step_at is not None and job.scores == {"d_h": {"value": 0.1}}
    with desk.database.read() as session:
        assert [(m.name, m.step, m.value) for m in session.scalars(select(Metric))] == [("loss", 1, 0.5)]
        checkpoint = session.scalars(checkpoints.usable(job.id)).one()
        stored = b"".join(DatabaseBlobs().read(session, checkpoint.sha256))
        model = session.scalars(trained.get(desk.project_id, str(job.model_id))).one()
        names = [artifact.name for artifact in session.scalars(artifacts.of_job(desk.project_id, job.id))]
    assert (stored, model.parameter_count, names) == (b"state", 3, ["model.safetensors"])


def test_a_problem_said_by_the_runner_ends_the_job_but_keeps_its_living_model(desk: Desk) -> None:
    problem = {"code": "diverged", "title": "Training diverged", "detail": "the loss is nan", "remedy": "Clip."}
    job = desk.run([*MODEL, {"say": {"type": "error", "problem": problem}}, {"exit": 81}])
    assert (job.status, job.error) == ("failed", problem)
    assert job.model_id is not None


@pytest.mark.parametrize("kind", [Diverged, OutOfMemory])
def test_an_exit_code_without_a_word_is_still_a_typed_failure(desk: Desk, kind: type[RunError]) -> None:
    job = desk.run([{"exit": exit_code(kind)}])
    assert job.status == "failed" and job.error is not None and job.error["code"] == kind.code


@pytest.mark.parametrize("ending", [{"segfault": True}, {"exit": 1}, {"print": "no message at all"}])
def test_a_violent_end_puts_the_job_back_after_a_pause(desk: Desk, ending: dict[str, Any]) -> None:
    job = desk.run([*CHECKPOINT, ending])
    assert (job.status, job.attempt, job.checkpoint_update, job.lease_owner) == ("queued", 1, 5, None)
    assert "runner_died" in [event.type for event in desk.events(job.id)]


def test_the_last_attempt_allowed_ends_with_the_reason(desk: Desk) -> None:
    job = desk.run([{"segfault": True}], max_attempts=1)
    assert job.status == "failed" and job.error is not None
    assert (job.error["code"], job.error["exit_code"]) == ("runner_crashed", -11)


def test_a_runner_deaf_to_sigterm_is_killed_when_its_job_is_cancelled(desk: Desk) -> None:
    job_id = desk.submit([{"deaf": True}, {"say": PROGRESS}, {"sleep": 30}])

    def cancel() -> None:
        with desk.database.write.begin() as session:
            commands.request_cancel(session, desk.project_id, job_id)

    thread = desk.meanwhile(job_id, cancel)
    desk.attempt(job_id)
    thread.join()
    assert desk.job(job_id).status == "cancelled"


def test_a_worker_going_down_puts_its_job_back_and_uses_no_attempt(desk: Desk) -> None:
    job_id = desk.submit([{"polite": EXIT_INTERRUPTED}, {"say": PROGRESS}, {"sleep": 30}])
    thread = desk.meanwhile(job_id, desk.stopping.set)
    desk.attempt(job_id)
    thread.join()
    job = desk.job(job_id)
    assert (job.status, job.attempt, job.woken_at) == ("queued", 0, None)


def test_a_supervisor_that_lost_its_lease_kills_its_runner_and_writes_nothing(desk: Desk) -> None:
    job_id = desk.submit([{"deaf": True}, {"say": PROGRESS}, {"sleep": 30}, *DONE])

    def take_over() -> None:
        with desk.database.write.begin() as session:
            session.execute(update(Job).where(Job.id == job_id).values(fence=Job.fence + 1, lease_owner="worker-2"))

    thread = desk.meanwhile(job_id, take_over)
    desk.attempt(job_id)
    thread.join()
    job = desk.job(job_id)
    assert (job.status, job.lease_owner, job.scores) == ("running", "worker-2", None)


def test_a_damaged_checkpoint_is_left_out_and_told(desk: Desk) -> None:
    script: Script = [*CHECKPOINT, {"exit": 1}]
    job_id = desk.submit(script)
    desk.attempt(job_id)
    with desk.database.write.begin() as session:
        session.execute(update(BlobChunk).where(BlobChunk.data == b"state").values(data=b"stale"))
        session.execute(update(Job).where(Job.id == job_id).values(not_before=0.0))
    desk.attempt(job_id)
    assert "checkpoint_skipped" in [event.type for event in desk.events(job_id)]


def test_a_job_whose_series_is_damaged_fails_with_that_reason(desk: Desk) -> None:
    job_id = desk.submit(DONE)
    with desk.database.write.begin() as session:
        session.execute(update(BlobChunk).values(data=b"other"))
    desk.attempt(job_id)
    job = desk.job(job_id)
    assert job.status == "failed" and job.error is not None and job.error["code"] == "blob_corrupt"
