"""Production by settings alone: real Postgres and Valkey, two APIs, three workers, a folder for each process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from chaos_client import Client
from chaos_client.demo import TOLERANCE, compare
from tests.e2e.cluster import KINDS, ROOT, Cluster
from tests.e2e.conftest import lorenz, npy, until
from tests.servers import PostgresServer, ValkeyServer

SPEC = {
    "cell": {"kind": "clipped_shplrnn", "latent": 3, "hidden": 20},
    "training": {"updates": 2000, "sequence_length": 30, "batch_size": 16, "validations": 4, "restarts": 0},
}
APIS = ("api-1", "api-2")


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer, valkey_server: ValkeyServer
) -> Iterator[Cluster]:
    with ExitStack() as stack:
        url = stack.enter_context(postgres_server.empty())
        valkey_server.flush()
        given = {name: value for name, value in os.environ.items() if not name.startswith("CHAOS_")}
        environment = given | {
            "CHAOS_DATABASE_URL": url,
            "CHAOS_BROKER_URL": valkey_server.url,
            "PYTHONPATH": str(ROOT),
        }
        running = Cluster(tmp_path_factory.mktemp("production"), environment)
        stack.callback(running.kill)
        running.once("chaos_store", "migrate")
        running.key = running.once("chaos_store", "first-key")
        for name in KINDS:
            running.start_worker(name)
        for name in APIS:
            running.start_api(name)
        yield running
        codes = {name: running.stop(name) for name in list(running.processes)}
        assert codes == dict.fromkeys(codes, 0)


@pytest.fixture(scope="module")
def clients(cluster: Cluster) -> Iterator[tuple[Client, Client]]:
    with cluster.client("api-1") as one, cluster.client("api-2") as other:
        yield one, other


@pytest.fixture(scope="module")
def dataset_id(clients: tuple[Client, Client]) -> str:
    return str(clients[0].upload("lorenz.npy", npy(lorenz(3000)), dt="0.05", name="lorenz")["id"])


def test_the_walk_of_a_series_through_both_apis(clients: tuple[Client, Client], dataset_id: str) -> None:
    one, other = clients
    analysis = other.analyse(dataset_id)
    assert analysis["result"]["verdict"] == "chaotic"
    job = other.wait(one.train(dataset_id, SPEC, seed=3)["id"])
    assert (job["status"], job["attempt"]) == ("succeeded", 1), job["error"]
    model = other.download(f"/v1/models/{job['model_id']}/content")
    assert model == one.download(f"/v1/models/{job['model_id']}/content")
    trajectory = other.download(f"/v1/trajectories/{job['trajectory_id']}/content")
    assert compare(model, trajectory) < TOLERANCE


def test_each_process_is_ready_and_nothing_lies_in_its_folder(cluster: Cluster, clients: tuple[Client, Client]) -> None:
    for client in clients:
        assert set(client.get("/readyz")["checks"].values()) == {"ok"}
    assert [name for name, process in cluster.processes.items() if process.poll() is not None] == []
    assert list(cluster.folder.rglob("*.db*")) == []


def test_migrating_again_and_beside_others_changes_nothing(cluster: Cluster, clients: tuple[Client, Client]) -> None:
    command = [sys.executable, "-m", "chaos_store", "migrate"]
    both = [subprocess.Popen(command, env=cluster.environment) for _ in range(2)]
    assert [process.wait(30) for process in both] == [0, 0]
    assert cluster.once("chaos_store", "first-key") == ""
    assert clients[0].get("/readyz")["checks"]["migrations"] == "ok"


def test_a_rolling_restart_loses_nothing_and_uses_no_attempt(
    cluster: Cluster, clients: tuple[Client, Client], dataset_id: str
) -> None:
    longer: dict[str, Any] = {**SPEC, "training": {**SPEC["training"], "updates": 8000}}
    started = [clients[0].train(dataset_id, longer, seed=seed)["id"] for seed in range(3)]
    until(lambda: clients[0].get("/v1/jobs", status="running")["data"] != [])
    for name in KINDS:
        assert cluster.stop(name) == 0
        cluster.start_worker(name)
    ended = []
    for name in APIS:
        assert cluster.stop(name) == 0
        cluster.start_api(name)
        with cluster.client(name) as client:
            ended = [client.wait(job_id) for job_id in started]
    assert [(job["status"], job["attempt"], job["error"]) for job in ended] == [("succeeded", 1, None)] * 3
    assert len({job["model_id"] for job in ended}) == 3
