"""Processes die, messages come twice, clients change their mind: each job still ends once and rightly."""

import hashlib
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from chaos_store.broker import make_celery, wake
from chaos_store.settings import Settings
from tests.e2e.conftest import FINISHED, Json, Service, alive, until

LONG = {
    "cell": {"kind": "clipped_shplrnn", "latent": 3, "hidden": 30},
    "training": {"updates": 40_000, "sequence_length": 40, "batch_size": 16, "validations": 4, "restarts": 0},
}
ENDLESS = {**LONG, "training": {**LONG["training"], "updates": 5_000_000}}


@pytest.fixture(scope="module")
def unbroken(service: Service, dataset_id: str) -> Json:
    """The same job, left in peace."""
    return service.finish(service.train(dataset_id, LONG, seed=5))


def weights(service: Service, job: Json) -> str:
    return hashlib.sha256(service.http.get(f"/v1/models/{job['model_id']}/content").content).hexdigest()


def claims(service: Service, job_id: str) -> int:
    return sum(event["data"].get("event") == "claim" for event in service.events(job_id))


def checkpointed(service: Service, job_id: str) -> bool:
    return any(event["type"] == "checkpoint" for event in service.events(job_id))


def nobody_is_left_but_the_spare(service: Service) -> bool:
    runners = service.runners()
    return len(runners) == 1 and all(process.status() != psutil.STATUS_ZOMBIE for process in service.family())


def test_kill_9_of_the_runner_changes_nothing_in_the_result(service: Service, dataset_id: str, unbroken: Json) -> None:
    job_id = service.train(dataset_id, LONG, seed=5)
    until(lambda: checkpointed(service, job_id))
    service.runners()[0].kill()
    job = service.finish(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 2), job["error"]
    assert "runner_died" in [event["type"] for event in service.events(job_id)]
    assert weights(service, job) == weights(service, unbroken)
    loss, whole = (service.get(f"/v1/jobs/{i}/metrics")["metrics"]["loss"] for i in (job_id, unbroken["id"]))
    assert (loss["step"], loss["value"]) == (whole["step"], whole["value"])
    until(lambda: nobody_is_left_but_the_spare(service), 15)


def test_kill_9_of_the_worker_takes_its_runner_along_and_the_job_goes_on(
    service: Service, dataset_id: str, unbroken: Json
) -> None:
    job_id = service.train(dataset_id, LONG, seed=5)
    until(lambda: checkpointed(service, job_id))
    orphans = service.runners()
    service.part("worker").kill()
    until(lambda: not any(alive(runner) for runner in orphans), 5)
    job = service.finish(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 2), job["error"]
    assert weights(service, job) == weights(service, unbroken)


def test_sigterm_to_the_worker_puts_the_job_back_without_using_an_attempt(
    service: Service, dataset_id: str, unbroken: Json
) -> None:
    job_id = service.train(dataset_id, LONG, seed=5)
    service.steps(job_id, 1000)
    service.part("worker").send_signal(signal.SIGTERM)
    job = service.finish(job_id)
    assert (job["status"], job["attempt"]) == ("succeeded", 1), job["error"]
    assert "release" in [event["data"].get("event") for event in service.events(job_id)]
    assert weights(service, job) == weights(service, unbroken)


def test_a_running_job_that_is_cancelled_stops_within_five_seconds(service: Service, dataset_id: str) -> None:
    job_id = service.train(dataset_id, ENDLESS)
    service.steps(job_id, 100)
    runner = service.runners()[0]
    asked_at = time.monotonic()
    service.post(f"/v1/jobs/{job_id}/cancel")
    until(lambda: service.job(job_id)["status"] == "cancelled" and not alive(runner), 5)
    assert time.monotonic() - asked_at < 5
    until(lambda: nobody_is_left_but_the_spare(service), 15)


def test_a_message_that_comes_three_times_starts_one_attempt(service: Service, dataset_id: str) -> None:
    broker_url = f"redis+socket://{service.folder / 'run' / 'broker.sock'}"
    celery = make_celery(Settings(data_dir=service.folder, broker_url=broker_url), role="sender")
    short = {**LONG, "training": {**LONG["training"], "updates": 4000}}
    job_id = service.train(dataset_id, short)
    assert all(wake(celery, job_id, "train") for _ in range(3))
    job = service.finish(job_id)
    assert wake(celery, job_id, "train")
    time.sleep(0.5)
    assert service.job(job_id) == job
    assert (job["status"], job["attempt"], claims(service, job_id)) == ("succeeded", 1, 1)
    celery.close()


def test_polling_goes_on_after_kill_9_of_the_api(service: Service, dataset_id: str) -> None:
    job_id = service.train(dataset_id, {**LONG, "training": {**LONG["training"], "updates": 20_000}})
    with ThreadPoolExecutor(1) as pool:
        polling = pool.submit(service.get, f"/v1/jobs/{job_id}?wait=20")
        time.sleep(0.5)
        service.part("api").kill()
        assert polling.result(30)["id"] == job_id
    assert service.finish(job_id)["status"] == "succeeded"
    assert claims(service, job_id) == 1


def test_a_hopeless_training_fails_with_its_code_and_not_with_success(service: Service, dataset_id: str) -> None:
    wild = {
        "cell": {"kind": "plrnn", "latent": 10},
        "forcing": {"kind": "none"},
        "training": {
            "updates": 60,
            "sequence_length": 200,
            "batch_size": 4,
            "learning_rate": 1.0,
            "clip_norm": 0,
            "restarts": 0,
        },
    }
    job = service.finish(service.train(dataset_id, wild))
    assert job["status"] in FINISHED and job["status"] == "failed"
    assert job["error"]["code"] in ("diverged", "exploded", "collapsed")
