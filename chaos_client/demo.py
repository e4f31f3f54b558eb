"""The whole walk over HTTP on a real recording, and the proof that the downloaded model is the trained one."""

import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chaos_client.client import Client
from chaos_client.failures import ServeError
from chaos_client.laser import laser_file
from chaos_client.recipes import recipe
from chaos_core.fitted import from_safetensors
from chaos_core.generation import generate

READY_S = 90.0
STEPS_COMPARED = 100
TOLERANCE = 1e-5

Json = dict[str, Any]


@dataclass(frozen=True)
class Walk:
    dataset: Json
    analysis: Json
    job: Json
    largest_difference: float
    files: dict[str, Path]


@contextmanager
def running_service(data_dir: Path) -> Iterator[Client]:
    """Starts `chaos serve` as a process of its own and stops it at the end."""
    command = [sys.executable, "-m", "chaos_client", "serve", "--data-dir", str(data_dir), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + READY_S
        while not (data_dir / "service.json").exists():
            if process.poll() is not None:
                raise ServeError((process.communicate()[1] or "the service ended").strip())
            if time.monotonic() > deadline:
                raise ServeError(f"the service was not ready after {READY_S:.0f} s; see {data_dir / 'logs'}")
            time.sleep(0.05)
        with Client.local(data_dir) as client:
            yield client
    finally:
        process.terminate()
        process.communicate()


def walk(client: Client, folder: Path, on_job: Callable[[Json], None], say: Callable[[str], None]) -> Walk:
    settings = recipe("laser")
    dataset = client.upload("santafe_laser.npy", laser_file().read_bytes(), name="santafe-laser")
    say(f"uploaded {dataset['rows']} rows as {dataset['id']}")
    analysis = client.analyse(dataset["id"])
    say(_describe(analysis["result"]))
    started = client.train(dataset["id"], settings["spec"], labels={"demo": "laser"})
    job = client.wait(started["id"], on_job)
    if job["status"] != "succeeded":
        raise ServeError(f"the job {job['id']} {job['status']}: {json.dumps(job['error'], indent=2)}")
    interval = job["plan"]["interval"]
    say(f"forcing interval {interval['schedule']}: {interval['why']}")
    files = _download(client, job, folder)
    difference = compare(files["model"].read_bytes(), files["trajectory"].read_bytes())
    return Walk(dataset, analysis["result"], job, difference, files)


def compare(content: bytes, trajectory: bytes) -> float:
    """Largest difference, in standard deviations, between the downloaded model's free run and the stored one."""
    fitted = from_safetensors(content)
    with np.load(io.BytesIO(trajectory), allow_pickle=False) as members:
        stored = members["x"]
    again = generate(fitted, STEPS_COMPARED)
    return float(np.max(np.abs(again - stored[:STEPS_COMPARED]) / stored.std(axis=0)))


def _describe(result: Json) -> str:
    if result["tau"] is None:
        return f"verdict {result['verdict']}: no forcing interval; fallback {result['fallback_tau']} steps"
    return (
        f"verdict {result['verdict']}: lambda_max {result['lambda_max_per_step']:.4f} per step "
        f"[{result['lambda_low_per_step']:.4f}, {result['lambda_high_per_step']:.4f}], "
        f"tau = ln2/lambda_max = {result['tau']} steps"
    )


def _download(client: Client, job: Json, folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {
        "model": (f"/v1/models/{job['model_id']}/content", "laser.safetensors"),
        "trajectory": (f"/v1/trajectories/{job['trajectory_id']}/content", "laser-free-run.npz"),
    }
    for artifact in client.pages(f"/v1/jobs/{job['id']}/artifacts"):
        if artifact["kind"] == "figure" and artifact["name"].endswith(".png"):
            stem = Path(artifact["name"]).stem
            wanted[f"figure {stem}"] = (f"/v1/artifacts/{artifact['id']}/content", f"laser-{stem}.png")
    files = {}
    for label, (path, name) in wanted.items():
        files[label] = folder / name
        files[label].write_bytes(client.download(path))
    return files
