"""kill -9 and freezes, one at a time, with the seconds until work goes on."""

import signal
import sys
import time

import psutil

from tests.torture.processes import alive, frozen, runs, send, until
from tests.torture.scene import ENDLESS, LONG, Scene
from tests.torture.services import Embedded

UPDATES_PER_KILL = 15_000
"""About two seconds; a checkpoint comes every half."""

LIMITS_S = {"runner": 3.0, "worker": 10.0, "api": 5.0, "broker": 5.0, "postgres": 15.0}


def training_runner(stage: Scene, job_id: str) -> psutil.Process:
    """The runner that does the job: the oldest of those of the worker that holds it."""
    mine = psutil.Process(stage.owner_pid(job_id)).children()
    found = [process for process in mine if runs(process, "worker.runner")]
    return min(found, key=lambda process: process.create_time())


def runner20(stage: Scene) -> None:
    """kill -9 of the runner of one job, twenty times: weights and metrics as unbroken."""
    times, waits = stage.times(20), []
    spec = {**LONG, "training": {**LONG["training"], "updates": max(60_000, UPDATES_PER_KILL * times)}}
    stage.load.make_reference(spec, 0)
    job_id = stage.train(spec)
    for number in range(1, times + 1):
        stage.wait_training(job_id)
        before = stage.client.job(job_id)
        saved = stage.count(job_id, "checkpoint")
        until(lambda saved=saved: stage.count(job_id, "checkpoint") > saved, 60, "another checkpoint")
        training_runner(stage, job_id).kill()
        killed_at = time.monotonic()
        until(lambda number=number: stage.client.job(job_id)["attempt"] > number, 60, "the next attempt")
        stage.wait_training(job_id)
        waits.append(time.monotonic() - killed_at)
        assert stage.client.job(job_id)["attempt"] == before["attempt"] + 1
    job = stage.client.finish(job_id, 300)
    stage.ledger.fact("kills of the runner", times)
    stage.ledger.fact("seconds until it trains again", f"median {sorted(waits)[times // 2]:.1f}, most {max(waits):.1f}")
    stage.ledger.must_be_empty(
        "attempts beside the kills", [] if job["attempt"] == times + 1 else [str(job["attempt"])]
    )
    stage.close_books()


def progress(stage: Scene) -> None:
    """Seconds from the kill of each role until a training moves, the API answers and a new job runs."""
    slow = []
    job_id = stage.train(ENDLESS)
    for role in stage.deployment.roles:
        most = dict.fromkeys(("training moves", "API answers", "new job runs"), 0.0)
        for _ in range(stage.times(3)):
            stage.wait_training(job_id, update=1)
            time.sleep(1.0)
            for name, seconds in _recovery(stage, job_id, role).items():
                most[name] = max(most[name], seconds)
        stage.ledger.fact(f"after kill of {role}", ", ".join(f"{name} {s:.1f} s" for name, s in most.items()))
        if max(most.values()) > LIMITS_S[role]:
            slow.append(f"{role}: {max(most.values()):.1f} s, allowed {LIMITS_S[role]:g} s")
    stage.ledger.must_be_empty("slower than promised", slow)
    stage.cancel(job_id)
    stage.client.finish(job_id)
    stage.close_books(failures_wanted=True, rows=False)


def _recovery(stage: Scene, job_id: str, role: str) -> dict[str, float]:
    before = stage.client.job(job_id)
    again = role in ("runner", "worker")
    victim = training_runner(stage, job_id) if role == "runner" else _holder(stage, job_id, role)
    victim.kill()
    began = time.monotonic()

    def moves() -> bool:
        job = stage.client.job(job_id)
        moved = job["stage"] == "training" and job["progress"]["update"] != before["progress"]["update"]
        return bool(moved and (not again or job["attempt"] > before["attempt"]))

    stage.client.get("/v1/jobs", limit=1)
    answered_s = time.monotonic() - began
    light = stage.load.analyse_any()
    until(lambda: stage.client.job(light)["started_at"] is not None, 60, "the new job runs")
    started_s = time.monotonic() - began
    until(moves, 60, f"the training moves after the kill of {role}")
    moved_s = time.monotonic() - began
    stage.client.finish(light)
    return {"training moves": moved_s, "API answers": answered_s, "new job runs": started_s}


def _holder(stage: Scene, job_id: str, role: str) -> psutil.Process:
    if role == "worker":
        return psutil.Process(stage.owner_pid(job_id))
    return stage.deployment.processes(role)[0]


def stopcont(stage: Scene) -> None:
    """A worker frozen past its lease: another takes over, and what the first writes on waking is refused."""
    stage.load.make_reference(LONG, 1)
    if isinstance(stage.deployment, Embedded):
        second = stage.deployment.start_part("worker-second", [sys.executable, "-m", "worker"])
        stage.say(f"second worker: {second.process.pid if second.process else '?'}")
        time.sleep(5)
    job_id = stage.train(LONG, seed=1)
    stage.wait_training(job_id, update=2000)
    first = psutil.Process(stage.owner_pid(job_id))
    with frozen(first):
        until(lambda: stage.client.job(job_id)["attempt"] == 2, 30, "another worker takes the job")
        stage.wait_training(job_id)
        seconds = until(lambda: stage.count(job_id, "checkpoint") > 3, 30, "the second attempt saves")
        stage.say(f"second attempt under way ({seconds:.1f} s), the first worker wakes")
    old = [process for process in first.children() if runs(process, "worker.runner")]
    job = stage.client.finish(job_id, 300)
    stage.ledger.fact("attempts", job["attempt"])
    stage.ledger.must_be_empty("the frozen worker", [] if alive(first) else ["did not live on"])
    stage.ledger.must_be_empty("runners of the frozen worker", [str(p.pid) for p in old[:-1] if alive(p)])
    late = [event for event in _after_second_claim(stage, job_id) if event["data"].get("attempt") == 1]
    stage.ledger.must_be_empty("writes of the first attempt after the second began", [str(event) for event in late])
    stage.close_books()


def _after_second_claim(stage: Scene, job_id: str) -> list[dict[str, object]]:
    events = stage.events(job_id)
    claims = [number for number, event in enumerate(events) if event["data"].get("event") == "claim"]
    return events[claims[1] + 1 :]


def everything(stage: Scene) -> None:
    """kill -9 of all processes at once, several times: the next start repairs by itself and says what."""
    waits = []
    for number in range(stage.times(3)):
        stage.load.submit(10 * (number + 1), 60)
        victims = stage.deployment.members()
        for victim in victims:
            send(victim, signal.SIGKILL)
        began = time.monotonic()
        stage.client.get("/v1/jobs", limit=1)
        waits.append(time.monotonic() - began)
        stage.say(f"{len(victims)} processes killed; the API answers again after {waits[-1]:.1f} s")
    stage.load.drain(240)
    stage.ledger.fact("seconds until the API answers", ", ".join(f"{wait:.1f}" for wait in waits))
    stage.close_books()
