"""What may bring a model's exponent near the truth, and one training of each kind."""

import math
import time
from dataclasses import dataclass
from typing import Any

from chaos_core.analysis import Analysis
from chaos_core.errors import ChaosError
from chaos_core.fitted import Fitted
from chaos_core.planning import plan
from chaos_core.series import Series
from chaos_core.skill import exponents_of
from chaos_core.spec import Spec
from chaos_core.systems import with_noise
from chaos_core.training import Trainer, Validated
from tests.bench.known import SEEN_ROWS, scored
from tests.bench.lyapunov.cases import Flow

__all__ = ["FLOSSED_VARIANTS", "MAIN_VARIANTS", "NOISY_SYSTEMS", "NOISY_VARIANTS", "attempt", "seen_of"]

SPLIT = {"train": 0.875, "validation": 0.125, "test": 0.0}
TRAINING = {"sequence_length": 200, "batch_size": 16, "validations": 16, "restarts": 0}
MATCHING = {"kind": "jacobian_matching", "weight": 0.01}
FLOSSING = {"kind": "flossing", "target": "auto"}
VARIANTS: dict[str, dict[str, Any]] = {
    "rectifier": {"cell": {"smoothing": 0.0}},
    "smooth": {"cell": {"smoothing": 0.1}},
    "matching": {"cell": {"smoothing": 0.0}, "losses": [MATCHING]},
    "both": {"cell": {"smoothing": 0.1}, "losses": [MATCHING]},
    "both, weight 0.1": {"cell": {"smoothing": 0.1}, "losses": [{**MATCHING, "weight": 0.1}]},
    "smooth 0.3, weight 0.1": {"cell": {"smoothing": 0.3}, "losses": [{**MATCHING, "weight": 0.1}]},
    "rectifier, flossing": {"cell": {"smoothing": 0.0}, "losses": [FLOSSING]},
    "smooth, flossing": {"cell": {"smoothing": 0.1}, "losses": [FLOSSING]},
}
FLOSSED_VARIANTS = ("rectifier", "rectifier, flossing", "smooth", "smooth, flossing", "both, weight 0.1")
MAIN_VARIANTS = ("rectifier", "smooth", "matching", "both", "both, weight 0.1", "smooth 0.3, weight 0.1")
NOISY_SYSTEMS = ("Lorenz", "Rossler", "Chua", "SprottB", "Halvorsen", "Aizawa", "NewtonLiepnik", "HyperQi")
NOISY_VARIANTS = ("rectifier", "smooth", "both", "both, weight 0.1")
NEARNESS = 1.0
"""What a factor of e between the exponents of model and data costs, in units of D_stsp + D_H."""


@dataclass
class Choice:
    """The state of a training that one rule likes best so far."""

    score: float = math.inf
    fitted: Fitted | None = None


def seen_of(flow: Flow, noise: float) -> Series:
    """The first 7000 rows, with normal noise of this share of each channel's spread."""
    clean = Series(flow.x[:SEEN_ROWS], flow.dt)
    return with_noise(clean, noise) if noise else clean


def attempt(flow: Flow, analysis: Analysis, variant: str, updates: int, noise: float, seed: int = 0) -> dict[str, Any]:
    """One training, and what two choices of its state come to: by free runs, and by these and the exponent.

    Args:
        flow: the first 7000 rows are trained on, all others are unseen, and free of noise.
        analysis: of the first 7000; its estimate guides the interval and the second choice.
        variant: of `VARIANTS`.
        updates: of the training.
        noise: on the rows that are trained on.
        seed: of the training.
    """
    series = seen_of(flow, noise)
    words = VARIANTS[variant]
    cell = {"kind": "clipped_shplrnn", "hidden": 100, **words.get("cell", {})}
    training = TRAINING | {"updates": updates}
    spec = {"cell": cell, "training": training, "split": SPLIT, "losses": words.get("losses", [])}
    record: dict[str, Any] = {"system": flow.name, "variant": variant, "seed": seed, "noise": noise, "updates": updates}
    record["exponent"] = flow.exponent
    began = time.process_time()
    try:
        trainer = Trainer(series, plan(Spec.model_validate(spec), analysis), seed)
        by_runs, by_both = _chosen(trainer, series, analysis)
    except ChaosError as error:
        return {**record, "failure": error.code, "seconds": time.process_time() - began}
    record |= {"kernel": trainer.kernel, "seconds": round(time.process_time() - began, 1)}
    return record | {"by_runs": scored(by_runs, flow), "by_both": scored(by_both, flow)}


def _chosen(trainer: Trainer, series: Series, analysis: Analysis) -> tuple[Fitted | None, Fitted | None]:
    wanted, both, last = analysis.lambda_max_per_step, Choice(), Choice()
    for event in trainer:
        if not (isinstance(event, Validated) and event.living and event.best):
            continue
        last.fitted = fitted = trainer.fitted()
        score = (event.d_stsp or 0.0) + (event.d_h or 0.0)
        found = exponents_of(fitted, series.rows(0, 2000)).lambda_max
        if wanted and found and found > 0:
            score += NEARNESS * abs(math.log(found / wanted))
        else:
            score += NEARNESS
        if score < both.score:
            both.score, both.fitted = score, fitted
    return last.fitted, both.fitted
