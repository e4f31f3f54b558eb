"""How soon a posted job runs: embedded service, one job at a time, medians of twenty. Run it on a quiet machine."""

import argparse
import io
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from chaos_client.client import Client
from chaos_client.demo import running_service
from chaos_core.systems import lorenz63

Json = dict[str, Any]
SPEC = {
    "cell": {"kind": "clipped_shplrnn", "hidden": 30},
    "training": {"updates": 500, "sequence_length": 50, "validations": 2, "restarts": 0},
}


def upload(client: Client, seed: int) -> str:
    file = io.BytesIO()
    np.save(file, lorenz63(5000, dt=0.01, seed=seed).x)
    return str(client.upload("lorenz.npy", file.getvalue(), dt="0.01")["id"])


def moments(client: Client, dataset_id: str, pause_s: float) -> dict[str, float]:
    """Seconds from POST to answer, from the row's birth to its run, and to the first update of the training."""
    posted_at = time.monotonic()
    job = client.train(dataset_id, SPEC)
    answered = time.monotonic() - posted_at
    job = client.wait(job["id"])
    time.sleep(pause_s)
    created, started, stepped = (
        datetime.fromisoformat(job[name]).timestamp() for name in ("created_at", "started_at", "first_step_at")
    )
    return {"answer": answered, "running": started - created, "first training step": stepped - created}


def measure(client: Client, count: int, pause_s: float) -> dict[str, list[dict[str, float]]]:
    analysed = upload(client, 0)
    client.analyse(analysed)
    moments(client, analysed, pause_s)
    return {
        "dataset analysed before": [moments(client, analysed, pause_s) for _ in range(count)],
        "analysis within the job": [moments(client, upload(client, 1 + i), pause_s) for i in range(count)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--pause", type=float, default=3.0, help="seconds between jobs; a spare runner takes 2 to 3")
    how = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder)) as client:
        found = measure(client, how.count, how.pause)
    for case, rows in found.items():
        for name in rows[0]:
            values = sorted(row[name] for row in rows)
            middle, worst = statistics.median(values), values[-1]
            sys.stdout.write(f"{case}: POST to {name}: median {middle * 1e3:.0f} ms, worst {worst * 1e3:.0f} ms\n")


if __name__ == "__main__":
    main()
