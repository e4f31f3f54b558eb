"""The log of a job: what its supervisor and its runner said, in all attempts, and no secret."""

import json
from dataclasses import replace

import pytest

from chaos_store.redaction import HIDDEN
from tests.worker.desk import CHECKPOINT, DONE, PROGRESS, Desk

OWN = json.dumps({"level": "info", "logger": "worker.runner.train", "message": "two\nlines"})
TRACE = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: no\n'
KEY = "chaos_" + "k" * 43


def test_worker_and_runner_are_heard_in_all_attempts(desk: Desk) -> None:
    script = [{"complain": OWN + "\n", "times": 1}, *CHECKPOINT, {"complain": TRACE, "times": 1}, {"segfault": True}]
    job_id = desk.submit(script)
    desk.attempt(job_id)
    desk.rewrite(job_id, [{"say": {"type": "stage", "stage": "training"}}, *DONE])
    desk.attempt(job_id)
    said = [(line.attempt, line.source, line.level, line.message) for line in desk.said(job_id)]
    first = [line for line in said if line[0] == 1]
    assert first[0] == (1, "worker", "info", "attempt 1 of a train job")
    assert (1, "runner", "info", "two\nlines") in first
    assert first.index((1, "runner", "info", "two\nlines")) < first.index(
        (1, "worker", "info", "checkpoint at update 5")
    )
    assert [line[3] for line in first if line[1:3] == ("runner", "warning")][:3] == TRACE.splitlines()
    assert first[-2:] == [
        (1, "worker", "info", "the runner ended with signal 11"),
        (1, "worker", "warning", "the attempt is lost: runner_crashed: The process of the job ended with signal 11."),
    ]
    second = [line for line in said if line[0] == 2]
    assert (2, "worker", "info", "stage: training") in second
    assert second[-1] == (2, "worker", "info", "the runner ended with exit code 0")


def test_a_failure_says_why(desk: Desk) -> None:
    problem = {"code": "diverged", "title": "Training diverged", "detail": "the loss is nan", "remedy": "Clip."}
    job = desk.run([{"say": {"type": "error", "problem": problem}}, {"exit": 81}])
    last = desk.said(job.id)[-1]
    assert (last.level, last.message) == ("error", "the job fails: diverged: the loss is nan")


def test_secrets_are_kept_out_of_the_log_and_of_the_error(desk: Desk) -> None:
    url = "postgresql://chaos:s3cretword@db/chaos"
    problem = {"code": "runner_crashed", "title": "t", "detail": f"no {url}", "remedy": KEY}
    script = [{"complain": f"{url} {KEY}\x1b[31m\n", "times": 1}, {"say": {"type": "error", "problem": problem}}]
    job = desk.run([*script, {"exit": 88}])
    stored = "\n".join(line.message for line in desk.said(job.id)) + json.dumps(job.error)
    assert HIDDEN in stored
    for secret in ("s3cretword", KEY, "\x1b"):
        assert secret not in stored


@pytest.mark.parametrize("times", [300, 200_000])
def test_a_flood_neither_stops_the_run_nor_fills_the_database(desk: Desk, times: int) -> None:
    desk = replace(desk, settings=desk.settings.model_copy(update={"job_log_lines": 50, "job_log_bytes": 2000}))
    job = desk.run([{"say": PROGRESS}, {"complain": "again and again\n", "times": times}, *DONE])
    said = desk.said(job.id)
    assert job.status == "succeeded"
    assert len(said) <= 50 and sum(line.size for line in said) <= 2000
    assert job.log_lines_cut > 0 and job.log_bytes_cut > 0
    assert said[-1].message == "the runner ended with exit code 0"
