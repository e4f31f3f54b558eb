"""One attempt at one job, on both databases, with a real child that behaves as the script says."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from chaos_core.errors import CheckpointUnreadable, Diverged, OutOfMemory, RunError
from chaos_store import artifacts, checkpoints, commands, trained
from chaos_store.tables import Blob, BlobChunk, Job, Metric
from tests.worker.desk import BEST, CHECKPOINT, DONE, MODEL, PROGRESS, Desk, saved, saved_best
from worker.protocol import EXIT_INTERRUPTED, exit_code

PATIENT: list[dict[str, Any]] = [{"say": PROGRESS}, {"sleep": 30}]


def damage(desk: Desk, sha256: str) -> None:
    with desk.database.write.begin() as session:
        content = select(Blob.content).where(Blob.sha256 == sha256).scalar_subquery()
        session.execute(update(BlobChunk).where(BlobChunk.content == content).values(data=b"stale"))


def test_a_finished_run_is_stored_with_its_numbers(desk: Desk) -> None:
    started = {"type": "training", "kernel": "native", "device": "cpu", "update": 0, "total": 9}
    job = desk.run([{"say": started}, {"say": PROGRESS}, *CHECKPOINT, *MODEL, *DONE])
    assert (job.status, job.kernel, job.device, job.progress_update) == ("succeeded", "native", "cpu", 1)
    assert job.started_at is not None and job.first_step_at is not None and job.scores == {"d_h": {"value": 0.1}}
    with desk.database.read() as session:
        assert [(m.name, m.step, m.value) for m in session.scalars(select(Metric))] == [("loss", 1, 0.5)]
        checkpoint = session.scalars(checkpoints.usable(job.id)).one()
        stored = desk.stored(checkpoint.sha256)
        model = session.scalars(trained.get(desk.project_id, str(job.model_id))).one()
        names = [artifact.name for artifact in session.scalars(artifacts.of_job(desk.project_id, job.id))]
    assert (stored, model.parameter_count, names) == (b"state", 3, ["model.safetensors"])


def test_a_problem_said_by_the_runner_ends_the_job_but_keeps_its_living_model(desk: Desk) -> None:
    problem = {"code": "diverged", "title": "Training diverged", "detail": "the loss is nan", "remedy": "Clip."}
    job = desk.run([*BEST, {"say": {"type": "error", "problem": problem}}, {"exit": 81}])
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
    job_id = desk.submit([{"deaf": True}, *PATIENT])
    job = desk.interrupted(job_id, lambda: desk.command(commands.request_cancel, job_id))
    assert job.status == "cancelled"


def test_a_worker_going_down_puts_its_job_back_and_uses_no_attempt(desk: Desk) -> None:
    job_id = desk.submit([{"polite": EXIT_INTERRUPTED}, *PATIENT])
    job = desk.interrupted(job_id, desk.stopping.set)
    assert (job.status, job.attempt, job.woken_at) == ("queued", 0, None)


def test_a_pause_saves_and_uses_no_attempt(desk: Desk, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    last_words = [*saved(7, "paused here"), {"exit": EXIT_INTERRUPTED}]
    job_id = desk.submit([{"on_sigterm": last_words}, *PATIENT])
    job = desk.interrupted(job_id, lambda: desk.command(commands.request_pause, job_id))
    assert (job.status, job.attempt, job.checkpoint_update, job.lease_owner) == ("paused", 0, 7, None)
    desk.command(commands.request_resume, job_id)
    desk.rewrite(job_id, [{"tell_folder": str(report)}, {"exit": 1}])
    desk.attempt(job_id)
    assert json.loads(report.read_text())["checkpoint"] == "paused here"


def test_a_pause_of_a_deaf_runner_is_given_up_for_a_cancel(desk: Desk) -> None:
    job_id = desk.submit([{"deaf": True}, *PATIENT])

    def pause_and_cancel() -> None:
        desk.command(commands.request_pause, job_id)
        desk.command(commands.request_cancel, job_id)

    assert desk.interrupted(job_id, pause_and_cancel).status == "cancelled"


def test_a_runner_that_crashes_on_its_way_to_a_pause_leaves_the_job_paused(desk: Desk) -> None:
    job_id = desk.submit([{"polite": 1}, *PATIENT])
    job = desk.interrupted(job_id, lambda: desk.command(commands.request_pause, job_id))
    assert (job.status, job.attempt) == ("paused", 1)
    assert "runner_died" in [event.type for event in desk.events(job_id)]


def test_a_supervisor_that_lost_its_lease_kills_its_runner_and_writes_nothing(desk: Desk) -> None:
    job_id = desk.submit([{"deaf": True}, *PATIENT, *DONE])

    def take_over() -> None:
        with desk.database.write.begin() as session:
            session.execute(update(Job).where(Job.id == job_id).values(fence=Job.fence + 1, lease_owner="worker-2"))

    job = desk.interrupted(job_id, take_over)
    assert (job.status, job.lease_owner, job.scores) == ("running", "worker-2", None)


def test_the_newest_checkpoints_and_the_best_are_kept(desk: Desk) -> None:
    job = desk.run([*saved(1), *saved_best(2), *saved(3), *saved(4), *saved(5), *DONE])
    assert [(kept.update, kept.best) for kept in desk.checkpoints(job.id)] == [(5, False), (4, False), (2, True)]


def test_damaged_checkpoints_are_skipped_for_the_one_before(desk: Desk, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    late = {**PROGRESS, "update": 8, "metrics": [{"name": "loss", "step": 8, "value": 0.1}]}
    early = {**PROGRESS, "update": 3, "metrics": [{"name": "loss", "step": 3, "value": 0.2}]}
    script = [{"tell_folder": str(report)}, {"say": early}, *saved(4, "older"), {"say": late}, *saved(9, "newer")]
    job_id = desk.submit([*script, {"exit": 1}])
    desk.attempt(job_id)
    damage(desk, desk.checkpoints(job_id)[0].sha256)
    desk.attempt(job_id)
    assert json.loads(report.read_text())["checkpoint"] == "older"
    skipped = [event.data for event in desk.events(job_id) if event.type == "checkpoint_skipped"]
    assert [(data["update"], data["code"]) for data in skipped] == [(9, "blob_corrupt")]


def test_where_no_checkpoint_is_whole_the_training_begins_anew_without_numbers(desk: Desk, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    far = {**PROGRESS, "update": 5, "metrics": [{"name": "loss", "step": 5, "value": 0.1}]}
    job_id = desk.submit([{"say": far}, *CHECKPOINT, {"tell_folder": str(report)}, {"exit": 1}])
    desk.attempt(job_id)
    damage(desk, desk.checkpoints(job_id)[0].sha256)
    desk.rewrite(job_id, [{"tell_folder": str(report)}, {"exit": 1}])
    desk.attempt(job_id)
    assert json.loads(report.read_text())["checkpoint"] is None
    assert desk.job(job_id).checkpoint_update is None
    with desk.database.read() as session:
        assert session.scalars(select(Metric).where(Metric.job_id == job_id)).all() == []


def test_a_checkpoint_that_the_runner_refuses_costs_no_attempt(desk: Desk, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    job_id = desk.submit([*saved(4, "older"), *saved(9, "newer"), {"exit": 1}])
    desk.attempt(job_id)
    refusal = CheckpointUnreadable("the checkpoint belongs to another plan").problem()
    desk.rewrite(job_id, [{"tell_folder": str(report)}, {"say": {"type": "error", "problem": refusal}}, {"exit": 87}])
    desk.attempt(job_id)
    job = desk.job(job_id)
    assert (job.status, job.attempt) == ("queued", 1)
    desk.attempt(job_id)
    assert json.loads(report.read_text())["checkpoint"] == "older"
    desk.attempt(job_id)
    assert json.loads(report.read_text())["checkpoint"] is None
    job = desk.job(job_id)
    assert job.status == "failed" and job.error is not None and job.error["code"] == "checkpoint_unreadable"


def test_a_job_whose_series_is_damaged_fails_with_that_reason(desk: Desk) -> None:
    job_id = desk.submit(DONE)
    with desk.database.write.begin() as session:
        session.execute(update(BlobChunk).values(data=b"other"))
    desk.attempt(job_id)
    job = desk.job(job_id)
    assert job.status == "failed" and job.error is not None and job.error["code"] == "blob_corrupt"


@pytest.mark.parametrize("ending", [{"segfault": True}, {"exit": 81}])
def test_the_best_model_of_a_failed_job_remains_usable_whatever_attempt_made_it(
    desk: Desk, ending: dict[str, Any]
) -> None:
    job_id = desk.submit([*saved_best(1, "first"), *saved_best(2, "second"), *saved(3), {"exit": 1}], max_attempts=1)
    desk.attempt(job_id)
    desk.rewrite(job_id, [ending])
    desk.attempt(job_id)
    job = desk.job(job_id)
    assert job.status == "failed" and job.model_id is not None
    with desk.database.read() as session:
        model = session.scalars(trained.get(desk.project_id, job.model_id)).one()
        files = session.scalars(artifacts.of_job(desk.project_id, job.id)).all()
    assert desk.stored(model.sha256) == b"second"
    assert [file.name for file in files] == ["model.safetensors"]


def test_a_lost_attempt_with_others_left_names_no_model_yet(desk: Desk) -> None:
    job = desk.run([*BEST, {"segfault": True}])
    assert (job.status, job.model_id) == ("queued", None)
