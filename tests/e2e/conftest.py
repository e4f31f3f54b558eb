"""The whole service as processes: started by `chaos serve`, spoken to by HTTP alone."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

FINISHED = ("succeeded", "failed", "cancelled")
SETTINGS = {"CHAOS_CHECKPOINT_S": "0.5"}

Json = dict[str, Any]


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def lorenz(rows: int, dt: float = 0.05) -> np.ndarray[Any, Any]:
    """Lorenz-63 by RK4, written here again: this program knows nothing of ours."""

    def flow(v: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.array([10 * (v[1] - v[0]), v[0] * (28 - v[2]) - v[1], v[0] * v[1] - 8 / 3 * v[2]])

    v, found = np.array([1.0, 2.0, 20.0]), []
    for step in range(4 * (rows + 100)):
        h = dt / 4
        a = flow(v)
        b = flow(v + h / 2 * a)
        c = flow(v + h / 2 * b)
        v = v + h / 6 * (a + 2 * b + 2 * c + flow(v + h * c))
        if step % 4 == 3:
            found.append(v)
    return np.array(found[100:])


def npy(x: np.ndarray[Any, Any]) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {x.shape}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + x.astype("<f8").tobytes()


@dataclass
class Service:
    folder: Path
    process: psutil.Process
    http: httpx.Client
    seen: set[psutil.Process] = field(default_factory=set)

    def get(self, path: str) -> Json:
        """Polls on through a restart of the API, as a careful client does."""
        deadline = time.monotonic() + 20
        while True:
            try:
                answer = self.http.get(path)
                if answer.status_code < 500:
                    document: Json = answer.raise_for_status().json()
                    return document
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, "the API did not come back"
            time.sleep(0.05)

    def post(self, path: str, body: Json | None = None, **how: Any) -> Json:
        answer = self.http.post(path, **({"json": body} if body is not None else {}), **how)
        assert answer.is_success, answer.text
        document: Json = answer.json()
        return document

    def upload(self, x: np.ndarray[Any, Any], **fields: str) -> str:
        return str(self.post("/v1/datasets", files={"file": ("series.npy", npy(x))}, data=fields)["id"])

    def train(self, dataset_id: str, spec: Json, seed: int = 0) -> str:
        return str(self.post("/v1/jobs", {"dataset_id": dataset_id, "spec": spec, "seed": seed})["id"])

    def job(self, job_id: str) -> Json:
        self.family()
        return self.get(f"/v1/jobs/{job_id}")

    def finish(self, job_id: str, seconds: float = 60.0) -> Json:
        until(lambda: self.job(job_id)["status"] in FINISHED, seconds)
        return self.job(job_id)

    def steps(self, job_id: str, update: int, seconds: float = 30.0) -> None:
        """Waits until the training has come so far."""

        def there() -> bool:
            job = self.job(job_id)
            assert job["status"] not in FINISHED, job
            return (job["progress"]["update"] or 0) >= update

        until(there, seconds)

    def events(self, job_id: str) -> list[Json]:
        found: list[Json] = self.get(f"/v1/jobs/{job_id}/events?limit=1000")["data"]
        return found

    def family(self) -> list[psutil.Process]:
        members = self.process.children(recursive=True)
        self.seen.update(members)
        return members

    def part(self, module: str) -> psutil.Process:
        return next(child for child in self.process.children() if module in cmdline(child))

    def runners(self) -> list[psutil.Process]:
        """Oldest first: the spare is the youngest."""
        found = [child for child in self.family() if "worker.runner" in cmdline(child)]
        return sorted(found, key=lambda child: child.create_time())


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("embedded")
    command = [sys.executable, "-m", "chaos_client", "serve", "--data-dir", str(folder), "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHAOS_")} | SETTINGS
    started = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    record = folder / "service.json"
    until(lambda: record.exists() or started.poll() is not None, 60)
    facts = json.loads(record.read_text())
    headers = {"Authorization": f"Bearer {facts['api_key']}"}
    with httpx.Client(base_url=facts["url"], headers=headers, timeout=40) as http:
        running = Service(folder, psutil.Process(started.pid), http)
        yield running
        running.family()
    started.terminate()
    assert started.wait(60) == 0
    left = psutil.wait_procs(running.seen, timeout=5)[1]
    assert left == [], "the service leaves no process behind"


@pytest.fixture(scope="session")
def dataset_id(service: Service) -> str:
    """A recording whose analysis is made already."""
    made = service.upload(lorenz(4000), dt="0.05", name="lorenz")
    analysis = service.post("/v1/analyses", {"dataset_id": made})
    until(lambda: service.get(f"/v1/analyses/{analysis['id']}")["status"] == "succeeded", 60)
    return made
