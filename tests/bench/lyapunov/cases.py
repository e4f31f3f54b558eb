"""The series of the benchmark: flows, maps and controls, under each condition."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chaos_core.series import Series
from chaos_core.systems import SYSTEMS, ar1, ar2, sine, surrogate, two_torus, white_noise, with_noise
from chaos_core.typing import Floats

__all__ = ["CONDITIONS", "Condition", "Flow", "controls", "flows", "maps", "seen_by"]

ROWS = 8000
PERIOD = 40.3
MAPS = ("logistic", "henon", "ikeda")


class Flow(NamedTuple):
    """(T, D) orbit of a known system, rows `dt` apart, and its true exponent in nats a row."""

    name: str
    x: Floats
    dt: float
    exponent: float


@dataclass(frozen=True)
class Condition:
    """How a flow is seen: which rows and channels, and how much white noise as a share of each channel's spread."""

    title: str
    channels: int | None = None
    rows: int = ROWS
    stride: int = 1
    noise: float = 0.0


CONDITIONS = (
    Condition("full state, clean"),
    Condition("first coordinate, clean", channels=1),
    Condition("full state, 2 % noise", noise=0.02),
    Condition("first coordinate, 2 % noise", channels=1, noise=0.02),
    Condition("full state, 10 % noise", noise=0.1),
    Condition("first coordinate, 10 % noise", channels=1, noise=0.1),
    Condition("full state, 2000 rows", rows=2000),
    Condition("full state, 10 rows a period, 2000 rows", stride=4),
)


def flows(folder: Path) -> list[Flow]:
    """Those kept by `flows.py`, by name."""
    found = []
    for file in sorted(folder.glob("*.npz")):
        with np.load(file) as held:
            facts = json.loads(str(held["facts"]))
            if facts["keep"]:
                found.append(Flow(file.stem, held["x"], facts["dt"], facts["lambda_per_row"]))
    return found


def seen_by(condition: Condition, flow: Flow, seed: int = 5) -> Flow:
    x = flow.x[: condition.rows * condition.stride : condition.stride, : condition.channels]
    rng = np.random.default_rng([seed, sum(map(ord, flow.name))])
    x = x + condition.noise * x.std(axis=0) * rng.standard_normal(x.shape)
    return Flow(flow.name, x, flow.dt * condition.stride, flow.exponent * condition.stride)


def maps() -> list[Flow]:
    """Each map by all coordinates and by the first, with its exact or published exponent."""
    found = []
    for name in MAPS:
        system = SYSTEMS[name]
        x = system().generate(ROWS).x
        seen = {"full state": x, "first coordinate": x[:, :1]}
        found += [Flow(f"{name}, {word}", part, 1.0, system.lambda_max or 0.0) for word, part in seen.items()]
    return found


def controls(lorenz: Floats, seeds: int, noise: float) -> Iterator[tuple[str, Floats]]:
    """Series without chaos, (T, 1) each; phase and period of the oscillations change with the seed."""
    for seed in range(seeds):
        period = PERIOD * (1 + 0.1 * seed / seeds)
        made = {
            "sine": sine(ROWS, period=period, phase=float(seed)),
            "2-torus": two_torus(ROWS, period=period),
            "white noise": white_noise(ROWS, seed=seed),
            "AR(1)": ar1(ROWS, seed=seed),
            "AR(2)": ar2(ROWS, seed=seed),
            "surrogate of Lorenz x": surrogate(Series(lorenz), seed=seed),
        }
        yield from ((name, with_noise(series, noise, seed=seed + seeds).x) for name, series in made.items())
