"""Sixteen small trainings: one after the other on one core, and side by side in threads on two, as `fit_many` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from chaos_core.native.step import NativeStep
from tests.bench.speed.cases import CLIPPED
from tests.bench.speed.timing import Json, alternate, median_ms, ratio, shown
from tests.bench.speed.variants import in_turn, native_step

__all__ = ["lines", "measured"]

CASE = CLIPPED[0]
MODELS, CORES, UPDATES = 16, 2, 32
ALONE, THREADS = "one by one, one core", f"in threads, {CORES} cores"


def measured(rounds: int) -> Json:
    """Milliseconds of `UPDATES` updates of all models, each way that there is."""
    known: Json = {"name": CASE.name, "models": MODELS, "cores": CORES, "updates": UPDATES}
    made = [native_step(CASE, seed) for seed in range(MODELS)]
    models = [step for step in made if isinstance(step, NativeStep)]
    if len(models) < MODELS:
        return known | {"refusal": made[0], "ms": {}, "ratios": {}}
    with ThreadPoolExecutor(CORES) as pool:
        ways = {ALONE: _one_by_one(models), THREADS: _in_threads(models, pool)}
        timed = alternate(ways, rounds)
    ratios = {f"{ALONE} / {THREADS}": ratio(timed[ALONE], timed[THREADS])}
    times = {name: median_ms(seconds) for name, seconds in timed.items()}
    return known | {"refusal": None, "ms": times, "ratios": ratios}


def _one_by_one(models: Sequence[NativeStep]) -> Callable[[], object]:
    batches = CASE.starts(UPDATES)

    def run() -> None:
        for step in models:
            in_turn(step, CASE, batches)

    return run


def _in_threads(models: Sequence[NativeStep], pool: ThreadPoolExecutor) -> Callable[[], object]:
    """A thread keeps its models, as in `fit_many`: handed from core to core, each would find the cache empty."""
    shares = [_one_by_one(models[core::CORES]) for core in range(CORES)]
    return lambda: list(pool.map(lambda share: share(), shares))


def lines(found: Json) -> Iterator[str]:
    """A table."""
    what = f"{found['models']} models of {found['name']}, {found['updates']} updates each"
    yield f"| {what} | ms | faster |\n|---|---|---|"
    for way in (ALONE, THREADS):
        took = f"{found['ms'][way]:.3g}" if way in found["ms"] else "none"
        yield f"| {way} | {took} | {'' if way == ALONE else shown(found['ratios'].get(f'{ALONE} / {way}'))} |"
    if found["refusal"]:
        yield f"\nnone: {found['refusal']}"
