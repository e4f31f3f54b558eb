"""How soon the first update is done in a fresh process, imports included, with torch and without."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tests.bench.speed.timing import Json, Rounds, ratio, shown

__all__ = ["lines", "measured"]

ROOT = Path(__file__).parents[3]
CHILD = "tests.bench.speed.first_step"
WHOLE = "whole"
WAYS = {
    WHOLE: "chaos_core.training",
    "cell": "chaos_core.kernels.fused",
    "bare": "chaos_core.native.step, equations spelt out",
}
MOST_ROUNDS = 7


def measured(rounds: int) -> list[Json]:
    """One record for each way; the processes are started in turns, and those of the first turn are not counted."""
    told: dict[str, list[Json]] = {way: [] for way in WAYS}
    for _ in range(min(rounds, MOST_ROUNDS) + 1):
        for way, answers in told.items():
            answers.append(_child(way))
    seconds = {way: np.array([answer["seconds"] for answer in answers[1:]]) for way, answers in told.items()}
    return [_record(way, told[way][0], seconds) for way in WAYS]


def _record(way: str, first: Json, seconds: Rounds) -> Json:
    record = {"name": way, "imports": WAYS[way], "refusal": first["refusal"], "torch_loaded": first["torch"]}
    if first["refusal"]:
        return record | {"seconds": None, "ratios": {}}
    ratios = {} if way == WHOLE else {f"{WHOLE} / {way}": ratio(seconds[WHOLE], seconds[way])}
    return record | {"seconds": float(np.median(seconds[way])), "ratios": ratios}


def _child(way: str) -> Json:
    command = [sys.executable, "-m", CHILD, way]
    return dict(json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout))


def lines(records: Sequence[Json]) -> Iterator[str]:
    """A table, and whether torch was loaded where it need not be."""
    yield "| imports and first update | s | torch is loaded | faster |\n|---|---|---|---|"
    for record in records:
        taken = "none" if record["seconds"] is None else f"{record['seconds']:.3f}"
        faster = "".join(shown(found) for found in record["ratios"].values())
        yield f"| {record['imports']} | {taken} | {'yes' if record['torch_loaded'] else 'no'} | {faster} |"
    for record in records:
        if record["refusal"]:
            yield f"\n{record['imports']}: none: {record['refusal']}"
        elif record["name"] != WHOLE and record["torch_loaded"]:
            yield f"\n{record['imports']} needs no torch and loads it: some module on the way imports it."
