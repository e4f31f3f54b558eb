"""Memory of one native step on long windows, in a fresh process.

`python -m tests.bench.speed.memory` is that process. It asks Linux for the largest resident size since the warm-up:
`ru_maxrss` would also remember the process that started this one, and what the imports took for a moment.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.bench.journal import say
from tests.bench.speed.cases import BATCH, CLIPPED, RATE, series
from tests.bench.speed.timing import Json
from tests.bench.speed.variants import native_step

__all__ = ["lines", "measured"]

CASE = CLIPPED[0]
WARM, LONG = 20, 10_000
ROOT = Path(__file__).parents[3]


def measured() -> Json:
    """MiB by which the process grew."""
    command = [sys.executable, "-m", __spec__.name]
    return dict(json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout))


def lines(found: Json) -> Iterator[str]:
    """A sentence."""
    what = f"none: {found['refusal']}" if found["grown_mib"] is None else f"{found['grown_mib']:.1f} MiB more"
    yield f"One native step of {CASE.name}, T = {LONG}, batch {BATCH}, after one with T = {WARM}: {what}"


def _in_this_process() -> Json:
    step = native_step(CASE, x=series(CASE.observed, LONG + BATCH + 1))
    if isinstance(step, str):
        return {"name": CASE.name, "steps": LONG, "grown_mib": None, "refusal": step}
    starts = np.arange(BATCH)
    step.update(starts, CASE.alpha(WARM), RATE)
    alpha = CASE.alpha(LONG)
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak_kib()
    step.update(starts, alpha, RATE)
    return {"name": CASE.name, "steps": LONG, "grown_mib": (_peak_kib() - before) / 1024}


def _peak_kib() -> int:
    """VmHWM, the largest resident size since "5" was written into clear_refs."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0])


if __name__ == "__main__":
    say(json.dumps(_in_this_process()))
