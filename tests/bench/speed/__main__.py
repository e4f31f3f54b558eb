"""./scripts/bench speed [--json] [--rounds N] [--only NAME ...] [--check]: our training steps beside the peers'.

NAME is a configuration or a section. PEERS names a folder with clones of the peers' code, which is then timed too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from tests.bench.journal import say
from tests.bench.speed import jobs, length, memory, runs, spectra, start, training
from tests.bench.speed.agreement import disagreements
from tests.bench.speed.cases import CASES, Case
from tests.bench.speed.machine import facts, load
from tests.bench.speed.timing import LARGEST_SPREAD, Json

ROUNDS = 11
QUIET = 0.5


class Section(NamedTuple):
    """Measures with (cases, rounds); its lines show what it found."""

    measured: Callable[[list[Case], int], Any]
    lines: Callable[[Any], Iterator[str]]


SECTIONS = {
    "training": Section(training.measured, training.lines),
    "length": Section(length.measured, length.lines),
    "memory": Section(lambda _cases, _rounds: memory.measured(), memory.lines),
    "runs": Section(lambda _cases, rounds: runs.measured(rounds), runs.lines),
    "spectra": Section(lambda _cases, rounds: spectra.measured(rounds), spectra.lines),
    "start": Section(lambda _cases, rounds: start.measured(rounds), start.lines),
    "jobs": Section(lambda _cases, rounds: jobs.measured(rounds), jobs.lines),
}


def asked(only: list[str]) -> tuple[list[str], list[Case]]:
    """Sections and cases: cases without a section are trained; what is not named at all is everything."""
    sections = [name for name in SECTIONS if name in only]
    cases = [case for name, case in CASES.items() if name in only]
    return sections or (["training"] if cases else list(SECTIONS)), cases or list(CASES.values())


def warnings(before: float, found: Json) -> Iterator[str]:
    """What makes the figures doubtful."""
    if before > QUIET:
        yield f"others kept {before:.2f} cores busy at the start; these figures want a quiet machine"
    for section, records in found.items():
        wide = [
            f"{record['name']} {name} ({ratio['spread']:.0%})"
            for record in (records if isinstance(records, list) else [records])
            for name, ratio in record.get("ratios", {}).items()
            if ratio["spread"] > LARGEST_SPREAD
        ]
        if wide:
            yield f"{section}: these ratios spread by more than {LARGEST_SPREAD:.0%}: {', '.join(wide)}"


def head(machine: Json, before: float, rounds: int) -> Iterator[str]:
    """The machine in a line."""
    yield (
        f"{machine['cpu']}, {machine['cores']} cores, one used; kernels {machine['kernels'] or 'none'}; "
        f"torch {machine['torch']}, Python {machine['python']}; {rounds} rounds; load {before:.2f} at the start"
    )


def check(cases: list[Case]) -> None:
    """Ends the program with 1 where two variants do not do the same work."""
    wrong = False
    for line, disagrees in disagreements(cases):
        say(f"{'WRONG' if disagrees else 'ok'}: {line}")
        wrong |= disagrees
    sys.exit(int(wrong))


def main() -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench speed", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object in place of tables")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each variant, 0.3 s each")
    parser.add_argument("--only", nargs="+", default=[], choices=[*CASES, *SECTIONS], metavar="NAME")
    parser.add_argument("--check", action="store_true", help="only compare the losses of all variants")
    how = parser.parse_args()
    torch.set_num_threads(1)
    before, (sections, cases) = load(), asked(how.only)
    if how.check:
        check(cases)
    machine, found = facts(), dict[str, Any]()
    show: Callable[[str], None] = (lambda _line: None) if how.json else say
    for line in head(machine, before, how.rounds):
        show(line)
    for name in sections:
        section = SECTIONS[name]
        show(f"\n{name}\n")
        found[name] = section.measured(cases, how.rounds)
        for line in section.lines(found[name]):
            show(line)
    doubts = list(warnings(before, found))
    for doubt in doubts:
        show(f"\nWarning: {doubt}.")
    if how.json:
        say(json.dumps({"machine": machine, "load": before, "rounds": how.rounds, **found, "warnings": doubts}))


if __name__ == "__main__":
    main()
