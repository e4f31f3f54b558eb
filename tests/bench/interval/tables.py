"""What is said of the trials: medians for each system, and what a choice of interval costs over systems."""

import math
import statistics
from collections.abc import Iterator
from typing import Any

from tests.bench.interval.trials import NOISES, SCHEDULES, SCOPES, Trial, at
from tests.bench.lyapunov.cases import Flow

__all__ = ["Done", "tables"]

Done = dict[Trial, dict[str, Any]]
How = tuple[str, float | None]
AUTO: How = ("auto", None)


def tables(flows: dict[str, Flow], done: Done) -> Iterator[str]:
    """The lines of all tables."""
    for cell, scope in SCOPES.items():
        groups = {group: [flows[name] for name in getattr(scope, group)] for group in ("fitted", "held_out")}
        for noise in NOISES:
            yield f"\n{cell}, {noise:.0%} noise: median D_stsp over seeds, by tau over ln 2 / lambda_max"
            yield "(no tau up to 2 is annealed: there the fixed training stands in both rows)"
            yield from _of_systems([flow for group in groups.values() for flow in group], cell, noise, done)
            for title, group in groups.items():
                yield from _summary(title, group, cell, noise, done)


def _head(*columns: str) -> str:
    return f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|"


def _row(*columns: str) -> str:
    return f"| {' | '.join(columns)} |"


def _values(flow: Flow, cell: str, noise: float, how: How, done: Done) -> list[float]:
    """D_stsp of each seed that is done; infinity where the training failed."""
    wanted = [at(flow, cell, noise, *how, seed) for seed in range(SCOPES[cell].seeds_of(flow.name))]
    found = [done[trial]["d_stsp"] for trial in wanted if trial in done]
    return [math.inf if value is None else value for value in found]


def _of_systems(flows: list[Flow], cell: str, noise: float, done: Done) -> Iterator[str]:
    factors = SCOPES[cell].factors
    yield _head("system", "ln 2 / lambda_max, rows", "floor", "schedule", *(f"{factor:g}" for factor in factors))
    for flow in flows:
        floors = [found["floor"] for trial, found in done.items() if trial.system == flow.name and "floor" in found]
        facts = flow.name, f"{math.log(2) / flow.exponent:.1f}", _median(floors)
        for schedule in SCHEDULES:
            hows = [(schedule, factor) for factor in factors]
            yield _row(*facts, schedule, *(_median(_values(flow, cell, noise, how, done)) for how in hows))
    for flow in flows:
        chosen = done.get(at(flow, cell, noise, *AUTO, 0))
        if chosen is not None:
            value = _median(_values(flow, cell, noise, AUTO, done))
            yield f"{flow.name}: plan() itself takes {chosen.get('forcing', 'none')} and comes to {value}"


def _median(values: list[float]) -> str:
    """Of two seeds it is their mean: "fail" if one of them failed."""
    if not values:
        return ""
    median = statistics.median(values)
    return f"{median:.2f}" if math.isfinite(median) else "fail"


def _summary(title: str, flows: list[Flow], cell: str, noise: float, done: Done) -> Iterator[str]:
    """Over those systems of which every factor and schedule was tried; the best is the best of these."""
    factors = SCOPES[cell].factors
    tried: list[How] = [(schedule, factor) for schedule in SCHEDULES for factor in factors]
    hows = [*tried, AUTO] if all(flow.name in SCOPES[cell].held_out for flow in flows) else tried
    found = [{how: _values(flow, cell, noise, how, done) for how in hows} for flow in flows]
    full = [values for values in found if all(values.values())]
    if not full:
        return
    best = [min(statistics.median(values[how]) for how in tried) for values in full]

    def cost(how: How) -> str:
        medians = [statistics.median(values[how]) for values in full]
        return _mean([median / least for median, least in zip(medians, best, strict=True)])

    def failures(how: How) -> str:
        seeds = [value for values in full for value in values[how]]
        return f"{sum(map(math.isinf, seeds))} of {len(seeds)}"

    yield f"\n{title}, {len(full)} of {len(flows)} systems: median D_stsp over the best of its system, geometric mean"
    yield _head("schedule", *(f"{factor:g}" for factor in factors))
    for schedule in SCHEDULES:
        row: list[How] = [(schedule, factor) for factor in factors]
        yield _row(schedule, *map(cost, row))
        yield _row(f"{schedule}, trainings failed", *map(failures, row))
    if AUTO in hows:
        yield f"what plan() takes by itself: {cost(AUTO)}; {failures(AUTO)} trainings failed"


def _mean(ratios: list[float]) -> str:
    """The geometric mean is infinite where a system failed: this is said, with the mean over the others."""
    finite = [ratio for ratio in ratios if math.isfinite(ratio)]
    rest = f"{statistics.geometric_mean(finite):.2f}" if finite else ""
    return rest if len(finite) == len(ratios) else f"fail on {len(ratios) - len(finite)}, others {rest or 'none'}"
