"""What clients ask in the middle of things."""

import random
import time

import httpx

from tests.torture.client import Json
from tests.torture.faults.killing import training_runner
from tests.torture.processes import alive, until
from tests.torture.scene import ENDLESS, LONG, Scene

CANCEL_LIMIT_S = 5.0


def cancel200(stage: Scene) -> None:
    """Cancel at random moments of a run: the state is right and the process gone within five seconds."""
    times, waits, wrong = stage.times(200), [], []
    chance = random.Random(stage.order.seed)
    for number in range(times):
        job_id = stage.train(ENDLESS, seed=number % 3)
        until(lambda job_id=job_id: stage.client.job(job_id)["status"] == "running", 60, "it runs")
        time.sleep(chance.choice((0.0, 0.05, 0.2, 0.5, 1.0)) * chance.random())
        runner = training_runner(stage, job_id)
        asked_at = time.monotonic()
        stage.cancel(job_id)
        until(lambda job_id=job_id: stage.client.job(job_id)["status"] not in ("running", "cancelling"), 30, "it ends")
        until(lambda runner=runner: not alive(runner), 30, "the runner is gone")
        waits.append(time.monotonic() - asked_at)
        job = stage.client.job(job_id)
        if job["status"] != "cancelled" or job["error"] is not None:
            wrong.append(f"{job_id}: {job['status']} {job['error']}")
    stage.ledger.fact("cancels of a running job", times)
    stage.ledger.fact("seconds until gone", f"median {sorted(waits)[times // 2]:.2f}, most {max(waits):.2f}")
    stage.ledger.must_be_empty("not cancelled", wrong)
    stage.ledger.must_be_empty("slower than 5 s", [f"{wait:.1f} s" for wait in waits if wait > CANCEL_LIMIT_S])
    _cancel_in_each_state(stage)
    stage.close_books(failures_wanted=True)


def _cancel_in_each_state(stage: Scene) -> None:
    """queued, pausing and paused end cancelled; an ended job says that it has ended."""
    wrong = []
    holding = stage.train(ENDLESS)
    stage.wait_training(holding)
    queued = stage.train(ENDLESS)
    answers = {"queued": _ask(stage, queued, "cancel"), "again": _ask(stage, queued, "cancel")}
    paused = stage.train(ENDLESS)
    _ask(stage, paused, "pause")
    answers["paused"] = _ask(stage, paused, "cancel")
    _ask(stage, holding, "pause")
    answers["pausing"] = _ask(stage, holding, "cancel")
    ended = stage.client.finish(holding, 10)
    statuses = {"queued": stage.client.job(queued), "paused": stage.client.job(paused), "pausing": ended}
    wrong += [f"{name}: {job['status']}" for name, job in statuses.items() if job["status"] != "cancelled"]
    codes = {name: answer.status_code for name, answer in answers.items()}
    stage.ledger.fact("answers to cancel", codes)
    if {codes["queued"], codes["paused"], codes["pausing"]} != {200} or codes["again"] != 409:
        wrong.append(str(codes))
    stage.ledger.must_be_empty("cancel in the wrong state", wrong)


def _ask(stage: Scene, job_id: str, command: str) -> httpx.Response:
    return stage.client.ask(f"/v1/jobs/{job_id}/{command}")


def pause20(stage: Scene) -> None:
    """Pause and resume in mid-run, many times: the weights are those of an unbroken run, no attempt is used."""
    stage.load.make_reference(LONG, 2)
    job_id, waits = stage.train(LONG, seed=2), []
    for _ in range(stage.times(20)):
        stage.wait_training(job_id)
        asked_at = time.monotonic()
        _ask(stage, job_id, "pause")
        until(lambda: stage.client.job(job_id)["status"] == "paused", 30, "it pauses")
        waits.append(time.monotonic() - asked_at)
        _ask(stage, job_id, "resume")
        until(lambda: stage.client.job(job_id)["status"] == "running", 30, "it goes on")
    job: Json = stage.client.finish(job_id, 300)
    stage.ledger.fact("pauses", f"{len(waits)}, most {max(waits):.2f} s until paused")
    stage.ledger.must_be_empty("attempts used", [] if job["attempt"] == 1 else [str(job["attempt"])])
    stage.close_books()
