"""./scripts/bench exponents [--part I/N] [--hours H]: what brings the exponents of trained models near the truth.

Each training is a line of .bench/exponents/trials.jsonl, and none is made twice: a run that was broken off goes on.
With `--hours 0` only the table is printed, of what there is.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from chaos_core.analysis import analyse
from tests.bench.exponents.variants import (
    FLOSSED_VARIANTS,
    MAIN_VARIANTS,
    NOISY_SYSTEMS,
    NOISY_VARIANTS,
    attempt,
    seen_of,
)
from tests.bench.journal import keep, kept, say
from tests.bench.known import CACHE, SYSTEMS, known_flows

TRIALS = CACHE / "exponents" / "trials.jsonl"
NEAR = 0.2
FLOSSED = 12
UPDATES, FEWER_UPDATES = 40_000, 10_000
"""The second where torch does the work."""


CHOICES = {"by_runs": "free runs", "by_both": "free runs and exponent"}


class Experiment(NamedTuple):
    """Every variant on every system."""

    noise: float
    updates: int
    systems: Sequence[str]
    variants: Sequence[str]

    def holds(self, record: dict[str, Any]) -> bool:
        """Whether a training belongs to it."""
        return (record["noise"], record.get("updates", UPDATES)) == (self.noise, self.updates)


def shuffled() -> list[str]:
    """An order that has nothing to do with the alphabet, so that the first of them are a fair sample."""
    names = sorted(SYSTEMS)
    random.Random(0).shuffle(names)
    return names


EXPERIMENTS = (
    Experiment(0.0, UPDATES, shuffled(), MAIN_VARIANTS),
    Experiment(0.05, UPDATES, [name for name in shuffled() if name in NOISY_SYSTEMS], NOISY_VARIANTS),
    Experiment(0.0, FEWER_UPDATES, shuffled()[:FLOSSED], FLOSSED_VARIANTS),
)


def work(part: int, parts: int, hours: float) -> None:
    began = time.monotonic()
    known = known_flows()
    for experiment, name in [(e, name) for e in EXPERIMENTS for name in e.systems][part::parts]:
        before = {r["variant"] for r in kept(TRIALS) if experiment.holds(r) and r["system"] == name}
        left = [variant for variant in experiment.variants if variant not in before]
        if not left:
            continue
        analysis = analyse(seen_of(known[name], experiment.noise))
        for variant in left:
            if time.monotonic() - began >= 3600 * hours:
                return
            record = attempt(known[name], analysis, variant, experiment.updates, experiment.noise)
            keep(TRIALS, record)
            say(json.dumps(record))


def table(experiment: Experiment) -> Iterator[str]:
    """Systems that have every variant, so that all rows are of the same systems."""
    records = [record for record in kept(TRIALS) if experiment.holds(record)]
    held = {name: {r["variant"] for r in records if r["system"] == name} for name in experiment.systems}
    whole = [name for name in experiment.systems if held[name] >= set(experiment.variants)]
    budget = f"{experiment.noise:.0%} noise, {experiment.updates} updates"
    yield f"\n{len(whole)} of {len(experiment.systems)} systems, {budget}"
    yield "| variant | chosen by | exponent within 20 % | median error of it | D_stsp median | below 1 | failed | s |"
    yield "|---|---|---|---|---|---|---|---|"
    for variant in experiment.variants:
        mine = [r for r in records if r["variant"] == variant and r["system"] in whole]
        for choice, words in CHOICES.items():
            if any(choice in r for r in mine):
                yield _row(variant, words, mine, [r.get(choice) for r in mine])


def _row(variant: str, words: str, mine: list[dict[str, Any]], found: list[dict[str, Any] | None]) -> str:
    count = len(mine)
    if not count:
        return f"| {variant} | {words} | | | | | | |"
    ratios = [one["ratio"] if one and one["ratio"] is not None else np.inf for one in found]
    errors = [abs(ratio - 1) for ratio in ratios]
    distances = [one["d_stsp"] if one and one["d_stsp"] is not None else np.inf for one in found]
    near, below = np.mean(np.array(errors) <= NEAR), np.mean(np.array(distances) < 1)
    failed = sum(one is None or one["d_stsp"] is None for one in found)
    seconds = np.median([r["seconds"] for r in mine])
    return (
        f"| {variant} | {words} | {near:.0%} | {np.median(errors):.1%} | {np.median(distances):.2f} | {below:.0%} "
        f"| {failed} | {seconds:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench exponents", description=__doc__)
    parser.add_argument("--part", default="0/1", help="I/N: every N-th system from the I-th on, for several processes")
    parser.add_argument("--hours", type=float, default=float("inf"), help="begin no training after so many hours")
    how = parser.parse_args()
    part, parts = (int(word) for word in how.part.split("/"))
    if how.hours:
        work(part, parts, how.hours)
    for experiment in EXPERIMENTS:
        for line in table(experiment):
            say(line)


if __name__ == "__main__":
    main()
