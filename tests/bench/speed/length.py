"""How the time of a native step grows with the window; the work is linear, five times as much for T = 1000."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.bench.speed.cases import STEPS, Case
from tests.bench.speed.timing import Json, alternate, median_ms, ratio, shown
from tests.bench.speed.variants import fed, kernel

__all__ = ["lines", "measured"]

LONG = 1000


def measured(cases: Sequence[Case], rounds: int) -> list[Json]:
    """One record for each case."""
    return [_record(case, rounds) for case in cases]


def _record(case: Case, rounds: int) -> Json:
    short, long = kernel(case), kernel(case, steps=LONG)
    if isinstance(short, str) or isinstance(long, str):
        return {"name": case.name, "ms": {}, "ratios": {}}
    timed = alternate({"short": fed(case, short), "long": fed(case, long, LONG)}, rounds)
    return {
        "name": case.name,
        "ms": {name: median_ms(seconds) for name, seconds in timed.items()},
        "ratios": {"long / short": ratio(timed["long"], timed["short"])},
    }


def lines(records: Sequence[Json]) -> Iterator[str]:
    """A table."""
    yield f"| configuration | native ms, T = {STEPS} | T = {LONG} | ratio |\n|---|---|---|---|"
    for record in records:
        times = [f"{record['ms'][name]:.3g}" if record["ms"] else "none" for name in ("short", "long")]
        yield f"| {record['name']} | {' | '.join(times)} | {shown(record['ratios'].get('long / short'))} |"
