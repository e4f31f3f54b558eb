"""./scripts/bench tau FILE [--part I/N] [--hours H]: the experiment of Mikhaeil et al. (2022), fixed intervals by cell.

FILE is an .npy with their Lorenz-63 series (T, 3), rho = 38, dt = 0.01. Each training is a line of .bench/tau.jsonl,
and none is made twice: a run that was broken off goes on. With `--hours 0` only the tables are printed.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chaos_core.analysis import Analysis, analyse
from chaos_core.errors import ChaosError
from chaos_core.pipeline import evaluate, fit
from chaos_core.planning import plan
from chaos_core.series import Series
from chaos_core.spec import Spec
from tests.bench.journal import keep, kept, say

TRIALS = Path(__file__).parents[2] / ".bench" / "tau.jsonl"
DT = 0.01
TRUE_LAMBDA = 0.01116
"""Per row, by integration of the equations."""
CELLS = ("plrnn", "rnn", "lstm")
INTERVALS = (5, 15, 30, 46, 70, 200)
SEEDS = 3
SEEN_ROWS = 60_000
SPLIT = {"train": 0.875, "validation": 0.125, "test": 0.0}
UPDATES = 10_000
SHORT_WINDOW, LONG_WINDOW = 100, 400
"""Rows of a window in the authors' code; the long one where the interval would not fit."""
PRESETS = ("gtf", "chaosrnn")


class Trial(NamedTuple):
    cell: str
    tau: int
    seed: int


def trials() -> list[Trial]:
    """Every cell and interval before the next seed, so that a run that was broken off has seen all of them."""
    return [Trial(cell, tau, seed) for seed, cell, tau in product(range(SEEDS), CELLS, INTERVALS)]


def spec_of(trial: Trial) -> Spec:
    """As the authors' code has it: 30 units, linear read-out, Adam at 1e-3, 32 windows, gradients as they are."""
    training = {
        "updates": UPDATES,
        "sequence_length": SHORT_WINDOW if trial.tau < SHORT_WINDOW else LONG_WINDOW,
        "batch_size": 32,
        "optimiser": "adam",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "clip_norm": None,
        "validations": 10,
        "restarts": 0,
    }
    return Spec.model_validate(
        {
            "cell": {"kind": trial.cell, "latent": 30},
            "observation": {"kind": "linear"},
            "forcing": {"kind": "sparse", "tau": trial.tau},
            "training": training,
            "split": SPLIT,
        }
    )


def attempt(trial: Trial, x: np.ndarray, analysis: Analysis) -> dict[str, Any]:
    """Scores by both presets against rows that the training never saw, or why there are none."""
    began = time.process_time()
    facts: dict[str, Any] = {**trial._asdict(), "updates": UPDATES}
    try:
        fitted = fit(Series(x[:SEEN_ROWS], DT), plan(spec_of(trial), analysis), trial.seed)
        for preset in PRESETS:
            scores = evaluate(fitted, Series(x[SEEN_ROWS:], DT), preset=preset)
            facts[preset] = {"d_stsp": scores.d_stsp.value, "d_h": scores.d_h.value, "floor": scores.d_stsp.floor}
        ratio = scores.lambda_ratio.value if scores.lambda_ratio else None
        facts |= {"lambda_ratio": ratio, "best_update": fitted.provenance["update"]}
    except ChaosError as error:
        facts |= {"failure": error.code, "detail": error.detail}
    return facts | {"seconds": round(time.process_time() - began, 1)}


def done() -> dict[Trial, dict[str, Any]]:
    return {Trial(*(record[field] for field in Trial._fields)): record for record in kept(TRIALS)}


def tables() -> Iterator[str]:
    found = done()
    yield f"{len(found)} of {len(trials())} trainings; ln 2 / lambda_max = {math.log(2) / TRUE_LAMBDA:.0f} rows"
    for preset in PRESETS:
        for score in ("d_stsp", "d_h"):
            yield f"\n{score}, preset {preset}: median of the seeds (all of them), failed ones count as infinite"
            yield "| cell | " + " | ".join(f"tau {tau}" for tau in INTERVALS) + " |"
            yield "|---" * (len(INTERVALS) + 1) + "|"
            for cell in CELLS:
                cells = [
                    _entry([found.get(Trial(cell, tau, s)) for s in range(SEEDS)], preset, score) for tau in INTERVALS
                ]
                yield f"| {cell} | " + " | ".join(cells) + " |"


def _entry(records: list[dict[str, Any] | None], preset: str, score: str) -> str:
    made = [record for record in records if record]
    values = [record[preset][score] if preset in record else None for record in made]
    numbers = sorted(math.inf if value is None else value for value in values)
    failed = sum(map(math.isinf, numbers))
    if not numbers:
        return ""
    median = statistics.median(numbers)
    spread = ", ".join(f"{number:.2f}" for number in numbers if math.isfinite(number))
    shown = f"{median:.2f} ({spread})" if math.isfinite(median) else f"fails ({spread})" if spread else "fails"
    return f"{shown}, {failed} of {len(numbers)} failed" if failed else shown


def main() -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench tau", description=__doc__)
    parser.add_argument("file", type=Path, help="the series, .npy")
    parser.add_argument(
        "--part", default="0/1", help="I/N: every N-th training from the I-th on, for several processes"
    )
    parser.add_argument("--hours", type=float, default=math.inf, help="begin no training after so many hours")
    how = parser.parse_args()
    part, parts = (int(word) for word in how.part.split("/"))
    x, before, began = np.load(how.file), done(), time.monotonic()
    analysis = analyse(Series(x[:SEEN_ROWS], DT)) if how.hours else None
    for trial in trials()[part::parts]:
        if trial in before or analysis is None or time.monotonic() - began >= 3600 * how.hours:
            continue
        record = attempt(trial, x, analysis)
        keep(TRIALS, record)
        say(json.dumps(record))
    for line in tables():
        say(line)


if __name__ == "__main__":
    main()
