"""./scripts/bench baselines [--data FOLDER] [--seeds K]: baselines and our own cell, on systems and recordings.

FOLDER holds the recordings (ecg_pecuzal5d_train.npy, temperature_tde5d.npy), which are no part of this project; without
it only the systems are done. Noise, embedding and settings of the scores are those of a job that leaves all to "auto".
"trained cell" is what a job with an empty spec trains. Numbers are medians over seeds, which only it, the reservoir and
the sampled network have.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chaos_core.analysis import analyse
from chaos_core.baselines import BASELINES, Baseline
from chaos_core.comparison import compare
from chaos_core.errors import RunError
from chaos_core.metrics import Score, Scores
from chaos_core.pipeline import evaluate, fit
from chaos_core.planning import plan
from chaos_core.series import Series
from chaos_core.spec import Plan, Spec
from chaos_core.systems import lorenz63, rossler
from tests.bench.journal import say

SYSTEMS: dict[str, Callable[[], Series]] = {
    "Lorenz-63": lambda: lorenz63(20_000),
    "Rossler": lambda: rossler(20_000),
}
RECORDINGS = {"ECG": "ecg_pecuzal5d_train.npy", "temperature": "temperature_tde5d.npy"}
HEAD = "| data | baseline | D_stsp | D_H | PE(20) / variance | CPU seconds |\n|---|---|---|---|---|---|"


class Attempt(NamedTuple):
    """One baseline with one seed; seconds of one core, so that a busy machine does not count."""

    scores: Scores
    seconds: float


def attempt(baseline: Baseline, known: Series, test: Series, made: Plan) -> Attempt:
    began = time.process_time()
    found = compare(baseline, known, test, evaluation=made.evaluation, embedding=made.embedding, noise=made.noise)
    return Attempt(found.scores, time.process_time() - began)


def own(series: Series, test: Series, made: Plan, seed: int) -> Attempt:
    """What a job with an empty spec comes to; a training that fails counts with its reason."""
    began = time.process_time()
    try:
        scores = evaluate(fit(series, made, seed), test, evaluation=made.evaluation)
    except RunError as error:
        none = Score(value=None, floor=None, reason=error.code)
        scores = Scores(d_stsp=none, d_h=none, prediction_error=none)
    return Attempt(scores, time.process_time() - began)


def seeded(kind: str, seeds: int) -> list[Baseline]:
    made = BASELINES[kind]
    return [made(seed=seed) for seed in range(seeds)] if "seed" in made.model_fields else [made()]


def shown(values: list[float | None], reasons: list[str | None]) -> str:
    known = sorted(value for value in values if value is not None)
    if not known:
        return f"none: {(reasons[0] or '').split(':')[0].split(' at row')[0].split(' (')[0]}"
    number = f"{statistics.median(known):.3g}"
    if len(known) > 1:
        number += f" ({known[0]:.3g} to {known[-1]:.3g})"
    return number if len(known) == len(values) else f"{number}, none for {len(values) - len(known)} of {len(values)}"


def relative(scores: Scores) -> float | None:
    value = scores.prediction_error.detail.get("relative")
    return value if isinstance(value, float) else None


def row(name: str, kind: str, attempts: list[Attempt]) -> str:
    all_scores = [found.scores for found in attempts]
    columns = [
        shown([s.d_stsp.value for s in all_scores], [s.d_stsp.reason for s in all_scores]),
        shown([s.d_h.value for s in all_scores], [s.d_h.reason for s in all_scores]),
        shown([relative(s) for s in all_scores], [s.prediction_error.reason for s in all_scores]),
        f"{statistics.median(found.seconds for found in attempts):.1f}",
    ]
    return f"| {name} | {kind} | {' | '.join(columns)} |"


def work(name: str, series: Series, seeds: int) -> None:
    made = plan(Spec(), analyse(series))
    cut = series.length - series.split(**made.split.model_dump())[2].length
    known, test = series.rows(0, cut), series.rows(cut, series.length)
    say(row(name, "**trained cell**", [own(series, test, made, seed) for seed in range(seeds)]))
    scores = None
    for kind in BASELINES:
        attempts = [attempt(baseline, known, test, made) for baseline in seeded(kind, seeds)]
        scores = attempts[0].scores
        say(row(name, kind, attempts))
    assert scores is not None
    floors = " | ".join(f"{score.floor:.3g}" for score in (scores.d_stsp, scores.d_h) if score.floor is not None)
    say(f"| {name} | floor: one half of the test piece against the other | {floors} | | |")
    noise = ", ".join(f"{level:.2g}" for level in made.noise)
    say(f"<!-- {name}: {cut} + {test.length} rows, embedding {made.embedding.dim}, noise {noise or 'none'} -->")


def main() -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench baselines", description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with the recordings")
    parser.add_argument("--seeds", type=int, default=3, help="of kinds that are random")
    how = parser.parse_args()
    say(HEAD)
    for name, system in SYSTEMS.items():
        work(name, system(), how.seeds)
    for name, file in RECORDINGS.items():
        if how.data is not None and (how.data / file).exists():
            work(name, Series(np.load(how.data / file)), how.seeds)


if __name__ == "__main__":
    main()
