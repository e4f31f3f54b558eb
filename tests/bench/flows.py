"""./scripts/bench flows [--part I/N] [--budget S] [--hours H]: every known flow with the defaults, in a budget of time.

7000 rows without noise, `{"training": {"budget_s": S}}` and nothing else, one seed; a free run against the 40 000 rows
that follow. Each training is a line of .bench/budget.jsonl, and none is made twice; `--hours 0` prints the table only.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from chaos_core.analysis import analyse
from chaos_core.errors import ChaosError
from chaos_core.pipeline import fit
from chaos_core.planning import plan
from chaos_core.series import Series
from chaos_core.spec import Spec
from tests.bench.journal import keep, kept, say
from tests.bench.known import CACHE, SEEN_ROWS, SYSTEMS, known_flows, scored
from tests.bench.lyapunov.cases import Flow

TRIALS = CACHE / "budget.jsonl"
BUDGET_S = 10.0
UNSEEN_ROWS = 40_000
NEAR, FLOORS = 0.2, 2.0


def attempt(flow: Flow, budget_s: float) -> dict[str, Any]:
    """One training from the bare rows, and its scores; CPU seconds of the analysis apart from those of the training."""
    series = Series(flow.x[:SEEN_ROWS], flow.dt)
    record: dict[str, Any] = {"system": flow.name, "budget_s": budget_s}
    began = time.process_time()
    analysis = analyse(series)
    analysed = time.process_time()
    try:
        the_plan = plan(Spec.model_validate({"training": {"budget_s": budget_s}}), analysis)
        fitted = fit(series, the_plan, 0)
    except ChaosError as error:
        return record | {"failure": error.code, "seconds": round(time.process_time() - analysed, 1)}
    trained = time.process_time()
    return record | {
        "updates": the_plan.training.updates,
        "analysis_s": round(analysed - began, 1),
        "seconds": round(trained - analysed, 1),
        "scores": scored(fitted, flow),
    }


def table(budget_s: float) -> Iterator[str]:
    """The figures over all flows that are done; a failed one counts as infinite."""
    mine = [record for record in kept(TRIALS) if record["budget_s"] == budget_s]
    found = [record.get("scores") or {} for record in mine]
    if not found:
        return
    distances = np.array([_or_infinite(one.get("d_stsp")) for one in found])
    floors = np.array([_or_infinite(one.get("floor")) if one else 0.0 for one in found])
    errors = np.array([abs(_or_infinite(one.get("ratio")) - 1) for one in found])
    seconds = [record["seconds"] for record in mine]
    yield f"{len(mine)} of {len(SYSTEMS)} flows, {budget_s:g} core-seconds"
    yield "| D_stsp median | below 1 | within twice the floor | exponent within 20 % | failed | seconds, most |"
    yield "|---|---|---|---|---|---|"
    shares = [distances < 1, distances <= FLOORS * floors, errors <= NEAR]
    shown = " | ".join(f"{np.mean(share):.0%}" for share in shares)
    yield (
        f"| {np.median(distances):.2f} | {shown} | {int(np.isinf(distances).sum())} "
        f"| {np.median(seconds):.1f}, {max(seconds):.1f} |"
    )
    worst = sorted(zip(distances, (record["system"] for record in mine), strict=True), reverse=True)
    yield "\nD_stsp of 1 and above: " + ", ".join(f"{name} {value:.1f}" for value, name in worst if value >= 1)


def _or_infinite(value: float | None) -> float:
    return math.inf if value is None else value


def main() -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench flows", description=__doc__)
    parser.add_argument("--part", default="0/1", help="I/N: every N-th flow from the I-th on, for several processes")
    parser.add_argument("--budget", type=float, default=BUDGET_S, help="core-seconds of each training")
    parser.add_argument("--hours", type=float, default=math.inf, help="begin no training after so many hours")
    how = parser.parse_args()
    part, parts = (int(word) for word in how.part.split("/"))
    before = {(record["system"], record["budget_s"]) for record in kept(TRIALS)}
    began, flows = time.monotonic(), known_flows(UNSEEN_ROWS) if how.hours else {}
    for name in SYSTEMS[part::parts]:
        if name in flows and (name, how.budget) not in before and time.monotonic() - began < 3600 * how.hours:
            record = attempt(flows[name], how.budget)
            keep(TRIALS, record)
            say(json.dumps(record))
    for line in table(how.budget):
        say(line)


if __name__ == "__main__":
    main()
