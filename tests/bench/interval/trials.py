"""What is tried, and one trial: from an orbit to D_stsp of a free run against rows that the training never saw."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from chaos_core.analysis import Analysis, analyse
from chaos_core.errors import ChaosError
from chaos_core.pipeline import evaluate, fit
from chaos_core.planning import plan
from chaos_core.series import Series
from chaos_core.spec import Plan, Spec
from chaos_core.systems import with_noise
from tests.bench.lyapunov.cases import Flow

__all__ = ["NOISES", "SCHEDULES", "SCOPES", "Scope", "Trial", "Workshop", "at", "trials"]

SIX = ("Lorenz", "Rossler", "Halvorsen", "Chua", "SprottB", "NewtonLiepnik")
THREE = ("VallisElNino", "Aizawa", "LorenzStenflo")
THREE_MORE = ("Arneodo", "Blasius", "BurkeShaw")
"""The first of the alphabet that were left, for the rule of the PLRNN, which was made with the others in sight."""

NOISES = (0.0, 0.05)
SCHEDULES = ("fixed", "annealed")
ANNEAL_FROM, ANNEAL_SHARE = 2, 0.6
SEEN_ROWS = 15_000
SPLIT = {"train": 0.875, "validation": 0.125, "test": 0.0}


@dataclass(frozen=True)
class Scope:
    """How much is tried with a cell.

    Args:
        updates: of each training.
        factors: tau over ln 2 / lambda_max.
        fitted: systems that the cell's rule was made on, `seeds` trainings each.
        held_out: systems that only test it, three trainings each.
        seeds: trainings of each of the fitted.
    """

    updates: int
    factors: tuple[float, ...]
    fitted: tuple[str, ...]
    held_out: tuple[str, ...]
    seeds: int

    def seeds_of(self, system: str) -> int:
        return HELD_OUT_SEEDS if system in self.held_out else self.seeds


HELD_OUT_SEEDS = 3
RECTIFIER: dict[str, Any] = {"clipped_shplrnn": {"smoothing": 0.0}}
"""All trials are made with the source's unit and with the forecast error alone."""
SCOPES = {
    "clipped_shplrnn": Scope(5_000, (0.05, 0.1, 0.2, 0.33, 0.5, 0.66, 1.0), SIX, THREE, 3),
    "plrnn": Scope(3_000, (0.1, 0.33, 0.66, 1.0), (*SIX, *THREE), THREE_MORE, 2),
}


class Trial(NamedTuple):
    """One training; `tau` is None where `plan()` chooses the forcing from its own estimate (schedule "auto")."""

    system: str
    cell: str
    noise: float
    schedule: str
    tau: int | None
    updates: int
    seed: int


def at(flow: Flow, cell: str, noise: float, schedule: str, factor: float | None, seed: int) -> Trial:
    """The trial that stands for a factor: several factors may round to one tau, and a tau of 2 leaves nothing to
    anneal."""
    updates = SCOPES[cell].updates
    if factor is None:
        return Trial(flow.name, cell, noise, "auto", None, updates, seed)
    tau = max(1, round(factor * math.log(2) / flow.exponent))
    return Trial(flow.name, cell, noise, schedule if tau > ANNEAL_FROM else "fixed", tau, updates, seed)


def trials(flows: dict[str, Flow], groups: tuple[str, ...]) -> list[Trial]:
    """Each once: a seed of everything before the next seed, so that a run that is broken off has seen all systems.

    Args:
        flows: by name.
        groups: "fitted" or "held_out", or both.
    """
    return list(dict.fromkeys(_in_order(flows, groups)))


def _in_order(flows: dict[str, Flow], groups: tuple[str, ...]) -> Iterator[Trial]:
    for seed in range(HELD_OUT_SEEDS):
        for cell, scope in SCOPES.items():
            names = [name for group in groups for name in getattr(scope, group) if seed < scope.seeds_of(name)]
            for flow, noise in product((flows[name] for name in names), NOISES):
                for schedule in SCHEDULES:
                    yield from (at(flow, cell, noise, schedule, factor, seed) for factor in scope.factors)
                if flow.name in scope.held_out:
                    yield at(flow, cell, noise, "auto", None, seed)


class Workshop:
    """Makes trials; each (system, noise) is drawn and analysed once."""

    def __init__(self, flows: dict[str, Flow]) -> None:
        self._flows = flows
        self._seen: dict[tuple[str, float], tuple[Series, Analysis]] = {}

    def attempt(self, trial: Trial) -> dict[str, Any]:
        """The trial, its D_stsp or the code of its failure, and what else may explain the number.

        `seconds` are those of the processor, for training and scoring.
        """
        flow = self._flows[trial.system]
        series, analysis = self._prepared(flow, trial.noise)
        facts = {"exponent": flow.exponent, "estimate": analysis.lambda_max_per_step, "verdict": analysis.verdict.value}
        began = time.process_time()
        try:
            made = plan(_spec(trial), analysis)
            facts |= _planned(made)
            found = _outcome(flow, series, made, trial.seed)
        except ChaosError as error:
            found = {"d_stsp": None, "failure": error.code, "detail": error.detail}
        seconds = round(time.process_time() - began, 2)
        return {**trial._asdict(), **found, **facts, "seconds": seconds}

    def _prepared(self, flow: Flow, noise: float) -> tuple[Series, Analysis]:
        key = flow.name, noise
        if key not in self._seen:
            clean = Series(flow.x[:SEEN_ROWS], flow.dt)
            series = with_noise(clean, noise) if noise else clean
            self._seen[key] = series, analyse(series)
        return self._seen[key]


def _spec(trial: Trial) -> Spec:
    annealing = {"anneal_from": ANNEAL_FROM, "anneal_share": ANNEAL_SHARE} if trial.schedule == "annealed" else {}
    return Spec.model_validate(
        {
            "cell": {"kind": trial.cell, **RECTIFIER.get(trial.cell, {})},
            "losses": [],
            "forcing": "auto" if trial.tau is None else {"kind": "sparse", "tau": trial.tau, **annealing},
            "training": {"updates": trial.updates, "restarts": 0},
            "split": SPLIT,
        }
    )


def _planned(made: Plan) -> dict[str, Any]:
    return {
        "forcing": made.forcing.model_dump(mode="json"),
        "sequence_length": made.training.sequence_length,
        "dim": made.embedding.dim,
        "plan": made.digest(),
    }


def _outcome(flow: Flow, series: Series, made: Plan, seed: int) -> dict[str, Any]:
    """The run starts on the first row after those seen, and is compared with all of them, free of noise."""
    fitted = fit(series, made, seed)
    scores = evaluate(fitted, Series(flow.x[SEEN_ROWS:], flow.dt), preset="gtf", evaluation=made.evaluation)
    stsp, provenance = scores.d_stsp, fitted.provenance
    failed = {} if stsp.reason is None else {"failure": "undefined", "detail": stsp.reason}
    return {
        "d_stsp": stsp.value,
        "floor": stsp.floor,
        "d_h": scores.d_h.value,
        "validation": provenance["validation"]["d_stsp"],
        "best_update": provenance["update"],
        "kernel": provenance["kernel"],
        **failed,
    }
