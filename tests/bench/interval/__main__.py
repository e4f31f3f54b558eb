"""./scripts/bench interval [--only fitted|held_out] [--hours H]: which forcing interval and schedule train best.

Each trial is a line of .bench/interval/trials.jsonl, and none is made twice: a run that was broken off goes on. With
`--hours 0` only the tables are printed, of what there is.
"""

import argparse
import time
from typing import Any

from tests.bench.interval.tables import Done, tables
from tests.bench.interval.trials import SCOPES, Trial, Workshop, trials
from tests.bench.journal import keep, kept, say
from tests.bench.known import CACHE, long_orbits
from tests.bench.lyapunov.cases import Flow

TRIALS = CACHE / "interval" / "trials.jsonl"
ORBIT_ROWS = 30_000
GROUPS = ("fitted", "held_out")


def orbits() -> dict[str, Flow]:
    names = dict.fromkeys(name for scope in SCOPES.values() for group in GROUPS for name in getattr(scope, group))
    return long_orbits(ORBIT_ROWS, list(names))


def done() -> Done:
    return {Trial(*(record[field] for field in Trial._fields)): record for record in kept(TRIALS)}


def told(trial: Trial, record: dict[str, Any]) -> str:
    how = f"{trial.schedule} {trial.tau or record.get('forcing', {}).get('tau')}"
    value = record.get("failure") or f"{record['d_stsp']:.3f}"
    what = f"seed {trial.seed}, {trial.cell}, {trial.system}, {trial.noise:.0%} noise"
    return f"{what}, {how}: {value} ({record['seconds']:.1f} s)"


def work(known: dict[str, Flow], groups: tuple[str, ...], hours: float) -> None:
    began, workshop, before = time.monotonic(), Workshop(known), done()
    left = [trial for trial in trials(known, groups) if trial not in before]
    for number, trial in enumerate(left):
        if time.monotonic() - began >= 3600 * hours:
            say(f"{len(left) - number} trials are left: the same command goes on")
            return
        record = workshop.attempt(trial)
        keep(TRIALS, record)
        say(f"{number + 1} of {len(left)}: {told(trial, record)}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench interval", description=__doc__)
    parser.add_argument("--only", choices=GROUPS, help="half of the systems; all where left out")
    parser.add_argument("--hours", type=float, default=float("inf"), help="begin no trial after so many hours")
    how = parser.parse_args()
    made = orbits()
    work(made, GROUPS if how.only is None else (how.only,), how.hours)
    for line in tables(made, done()):
        say(line)


if __name__ == "__main__":
    main()
