"""./scripts/bench overhead [--rounds N] [--seconds S]: what a job costs beside the same training in one bare process.

In turns: a job posted to an embedded service, from POST to `succeeded`; and `python -m tests.bench.overhead FILE`,
which reads the same rows, analyses, plans, fits, scores and saves with the library alone, from its start to its end,
imports included. Both train the same plan from the same seed, so that the models are the same.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from chaos_client.client import Client
from chaos_client.demo import running_service
from chaos_core.analysis import analyse
from chaos_core.fitted import to_safetensors
from chaos_core.pipeline import evaluate, fit
from chaos_core.planning import plan
from chaos_core.series import Series
from chaos_core.spec import Spec
from chaos_core.systems import lorenz63
from tests.bench.journal import say

ROWS, DT, SEED = 20_000, 0.01, 0
UPDATES_A_SECOND = 3000


def words(seconds: float) -> dict[str, Any]:
    return {"training": {"updates": round(UPDATES_A_SECOND * seconds), "restarts": 0}}


def bare(file: Path) -> None:
    """The training without a service; the spec lies beside the rows."""
    series = Series(np.load(file), DT)
    the_plan = plan(Spec.model_validate(json.loads(file.with_suffix(".json").read_text())), analyse(series))
    fitted = fit(series, the_plan, SEED)
    scores = evaluate(fitted, series.split()[2])
    file.with_suffix(".safetensors").write_bytes(to_safetensors(fitted))
    say(str(scores.d_stsp.value))


def posted(client: Client, rows: bytes, spec: dict[str, Any]) -> tuple[float, float]:
    """Seconds of a job on a dataset that the service does not know yet, and its D_stsp."""
    dataset = client.upload("lorenz.npy", rows, dt=str(DT))
    began = time.monotonic()
    job = client.wait(client.train(dataset["id"], spec, seed=SEED)["id"])
    return time.monotonic() - began, job["scores"]["d_stsp"]["value"]


def alone(file: Path) -> tuple[float, float]:
    """Seconds of the bare process, and its D_stsp."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "tests.bench.overhead", file], check=True, stdout=subprocess.PIPE)
    return time.monotonic() - began, float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench overhead", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=40.0, help="about so long trains each")
    how = parser.parse_args()
    if how.file is not None:
        bare(how.file)
        return
    spec, ratios = words(how.seconds), []
    say("| job s | bare process s | job / bare | D_stsp of both |")
    say("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, running_service(Path(folder) / "service") as client:
        for number in range(how.rounds):
            x, buffer, file = lorenz63(ROWS, DT, seed=number).x, io.BytesIO(), Path(folder) / f"{number}.npy"
            np.save(buffer, x)
            file.write_bytes(buffer.getvalue())
            file.with_suffix(".json").write_text(json.dumps(spec))
            (job_s, ours), (bare_s, theirs) = posted(client, buffer.getvalue(), spec), alone(file)
            ratios.append(job_s / bare_s)
            say(f"| {job_s:.1f} | {bare_s:.1f} | {ratios[-1]:.3f} | {ours:.6f}, {theirs:.6f} |")
    say(f"median of the ratios: {np.median(ratios):.3f}")


if __name__ == "__main__":
    main()
