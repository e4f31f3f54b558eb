"""Sixteen small trainings by `fit_many`: on one core, and on two."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chaos_core.analysis import analyse
from chaos_core.pipeline import fit_many
from chaos_core.planning import plan
from chaos_core.spec import Spec
from chaos_core.systems import lorenz63
from tests.bench.speed.timing import Json, alternate, median_ms, ratio, shown

__all__ = ["lines", "measured"]

MODELS, CORES, UPDATES = 16, 2, 2000
WORDS = {
    "cell": {"kind": "clipped_shplrnn", "latent": 3, "hidden": 50, "smoothing": 0.0},
    "forcing": {"kind": "generalized", "alpha": 0.1},
    "losses": [],
    "training": {"updates": UPDATES, "sequence_length": 200, "batch_size": 16, "validations": 1, "restarts": 0},
}
ALONE, BESIDE = "one core", f"{CORES} cores"


def measured(rounds: int) -> Json:
    """Milliseconds of all trainings, each way that there is."""
    series = lorenz63(5000)
    the_plan = plan(Spec.model_validate(WORDS), analyse(series))

    def trained(threads: int) -> Callable[[], object]:
        return lambda: fit_many(series, [the_plan] * MODELS, range(MODELS), threads=threads)

    timed = alternate({ALONE: trained(1), BESIDE: trained(CORES)}, rounds, slot_s=0.0)
    return {
        "name": "fit_many",
        "models": MODELS,
        "cores": CORES,
        "updates": UPDATES,
        "ms": {name: median_ms(seconds) for name, seconds in timed.items()},
        "ratios": {f"{ALONE} / {BESIDE}": ratio(timed[ALONE], timed[BESIDE])},
    }


def lines(found: Json) -> Iterator[str]:
    """A table."""
    yield f"| {found['models']} trainings of clipped-shplrnn-3x50, {found['updates']} updates each | ms | faster |"
    yield "|---|---|---|"
    yield f"| {ALONE} | {found['ms'][ALONE]:.4g} | |"
    yield f"| {BESIDE} | {found['ms'][BESIDE]:.4g} | {shown(found['ratios'][f'{ALONE} / {BESIDE}'])} |"
