"""Each limit of a job ends it with an error of its own, on real processes; the worker goes on."""

import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from chaos_store import commands
from chaos_store.settings import Settings
from chaos_store.tables import Job
from tests.worker.desk import BEST, PROGRESS, Desk, saved
from worker.limits import Guard, Limits, time_spent
from worker.protocol import EXIT_INTERRUPTED, EXIT_NO_ROOM
from worker.supervisor import FULL_PAUSE_S

MIB = 1024 * 1024


def code(job: Job) -> str | None:
    return None if job.error is None else job.error["code"]


def test_a_client_can_narrow_a_limit_and_not_widen_it() -> None:
    settings = Settings(job_memory_bytes=1000, job_stall_s=60.0, job_disk_bytes=500)
    limits = Limits.of(settings, {"wall_s": 5.0, "memory_bytes": 400, "stall_s": 900.0})
    assert limits == Limits(wall_s=5.0, memory_bytes=400, stall_s=60.0, disk_bytes=500)


def test_without_a_setting_a_job_may_hold_three_quarters_of_the_memory_and_run_for_ever() -> None:
    limits = Limits.of(Settings(), {})
    assert limits.wall_s is None
    assert 0 < limits.memory_bytes <= 0.75 * psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("events", "seconds"),
    [
        ([("create", 0.0), ("claim", 5.0)], 0.0),
        ([("claim", 5.0), ("release", 9.0), ("claim", 100.0)], 4.0),
        ([("claim", 5.0), ("pause", 7.0), ("confirm_pause", 8.0), ("resume", 5000.0), ("claim", 5001.0)], 3.0),
        ([("claim", 0.0), ("lose_lease", 2.0), ("claim", 10.0), ("lose_lease", 13.0), ("claim", 20.0)], 5.0),
        ([("claim", 0.0), ("fail", 90.0), ("retry", 95.0), ("claim", 96.0)], 0.0),
    ],
)
def test_only_the_time_in_which_a_job_ran_counts(events: list[tuple[str, float]], seconds: float) -> None:
    assert time_spent(events) == seconds


def test_time_of_earlier_attempts_counts_towards_the_limit(tmp_path: Path) -> None:
    limits = Limits(wall_s=10.0, memory_bytes=1 << 50, stall_s=60.0, disk_bytes=1 << 50)
    pid = psutil.Process().pid
    assert Guard(limits, pid, tmp_path, spent_s=9.0).crossed() is None
    crossed = Guard(limits, pid, tmp_path, spent_s=11.0).crossed()
    assert crossed is not None and crossed.code == "time_limit" and crossed.fields["limit"] == 10.0


def test_a_job_that_still_runs_at_its_deadline_is_ended(tmp_path: Path) -> None:
    pid, far = psutil.Process().pid, {"memory_bytes": 1 << 50, "disk_bytes": 1 << 50, "wall_s": None, "stall_s": 60.0}
    assert Guard(Limits(**far, deadline=time.time() + 60), pid, tmp_path).crossed() is None
    crossed = Guard(Limits(**far, deadline=time.time() - 1), pid, tmp_path).crossed()
    assert crossed is not None and crossed.code == "deadline_passed"


@pytest.mark.parametrize("deaf", [[], [{"deaf": True}]])
def test_an_endless_loop_is_stalled_and_its_living_model_kept(desk: Desk, deaf: list[dict[str, Any]]) -> None:
    job = desk.run([*deaf, {"say": PROGRESS}, *BEST, {"spin": True}], stall_s=0.5)
    assert (job.status, code(job)) == ("failed", "stalled")
    assert job.error is not None and job.error["value"] > job.error["limit"] == 0.5
    assert job.model_id is not None


def test_messages_without_progress_do_not_hide_a_stall(desk: Desk) -> None:
    chatter: list[dict[str, Any]] = [{"say": PROGRESS}, {"sleep": 0.05}]
    assert code(desk.run(chatter * 200, stall_s=0.5)) == "stalled"


def test_a_job_that_is_too_slow_is_saved_and_ended(desk: Desk) -> None:
    last_words = [*saved(7), {"exit": EXIT_INTERRUPTED}]
    job = desk.run([{"on_sigterm": last_words}, {"say": PROGRESS}, {"sleep": 30}], wall_s=0.5)
    assert (job.status, code(job), job.checkpoint_update) == ("failed", "time_limit", 7)
    assert job.error is not None and job.error["value"] > job.error["limit"] == 0.5


def test_a_run_that_reaches_its_deadline_is_saved_and_fails_with_its_own_code(desk: Desk) -> None:
    last_words = [*saved(7), {"exit": EXIT_INTERRUPTED}]
    job_id = desk.submit([{"on_sigterm": last_words}, {"say": PROGRESS}, *BEST, {"sleep": 30}])
    deadline = time.time() + 1.5
    desk.command(lambda session, *names: commands.revise(session, *names, labels={}, deadline=deadline), job_id)
    desk.attempt(job_id)
    job = desk.job(job_id)
    assert (job.status, code(job), job.checkpoint_update) == ("failed", "deadline_passed", 7)
    assert job.error is not None and job.error["deadline"] == deadline and job.model_id is not None


def test_a_memory_hog_is_ended_before_the_machine_suffers(desk: Desk) -> None:
    started_at = time.monotonic()
    job = desk.run([{"deaf": True}, *[{"hold": 20 * MIB}] * 1000], memory_bytes=100 * MIB)
    assert (job.status, code(job)) == ("failed", "out_of_memory")
    assert job.error is not None and job.error["limit"] == 100 * MIB < job.error["value"]
    assert time.monotonic() - started_at < 20


def test_memory_of_the_children_of_a_runner_counts(desk: Desk) -> None:
    job = desk.run([{"child": [{"hold": 150 * MIB}, {"sleep": 30}]}, {"sleep": 30}], memory_bytes=100 * MIB)
    assert code(job) == "out_of_memory"


def test_a_runner_killed_while_it_held_nearly_all_it_may_was_out_of_memory(desk: Desk) -> None:
    job = desk.run([{"hold": 180 * MIB}, {"sleep": 1.5}, {"kill": 9}], memory_bytes=210 * MIB)
    assert (job.status, code(job)) == ("failed", "out_of_memory")


def test_a_runner_killed_for_another_reason_is_tried_again(desk: Desk) -> None:
    job = desk.run([{"say": PROGRESS}, {"kill": 9}])
    assert (job.status, job.error) == ("queued", None)


def test_a_job_that_fills_its_folder_is_ended(desk: Desk) -> None:
    job = desk.run([{"write": "large", "content": "x", "times": MIB}, {"sleep": 30}], disk_bytes=MIB // 2)
    assert (job.status, code(job)) == ("failed", "disk_limit")
    assert job.error is not None and job.error["value"] > job.error["limit"] == MIB // 2


def test_a_runner_without_room_for_its_files_waits_for_some_before_its_next_attempt(desk: Desk) -> None:
    job = desk.run([{"exit": EXIT_NO_ROOM}])
    assert (job.status, job.error) == ("queued", None)
    assert job.not_before > job.created_at + FULL_PAUSE_S
