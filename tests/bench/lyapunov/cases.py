"""The series of the benchmark: flows, maps and controls, under each condition."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from chaos_core.typing import Floats

__all__ = ["CONDITIONS", "CONTROLS", "Condition", "Flow", "controls", "flows", "iaaft", "maps", "seen_by"]

CONTROL_ROWS = 8000
PERIOD = 40.3
GOLDEN = (1 + 5**0.5) / 2


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
    rows: int = 8000
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


def maps(rows: int = 8000) -> dict[str, tuple[Floats, float]]:
    """(T, D) orbits and exponents in nats a step; those without a formula by tangent vectors over 400 000 steps."""

    def logistic(r: float) -> tuple[Floats, float]:
        x, out, growth = 0.3123, [], 0.0
        for step in range(400_000):
            growth += np.log(abs(r * (1 - 2 * x)))
            x = r * x * (1 - x)
            if 1000 <= step < 1000 + rows:
                out.append(x)
        return np.array(out)[:, None], float(np.log(2)) if r == 4 else growth / 400_000

    return {
        "logistic, r = 4": logistic(4.0),
        "logistic, r = 3.8": logistic(3.8),
        "Henon": _planar(_henon, np.array([0.1, 0.1]), rows),
        "Ikeda, u = 0.9": _planar(_ikeda, np.array([0.1, 0.1]), rows),
    }


def _henon(z: Floats) -> Floats:
    return np.array([1 - 1.4 * z[0] ** 2 + z[1], 0.3 * z[0]])


def _ikeda(z: Floats) -> Floats:
    turn = 0.4 - 6 / (1 + z[0] ** 2 + z[1] ** 2)
    c, s = np.cos(turn), np.sin(turn)
    return np.array([1 + 0.9 * (z[0] * c - z[1] * s), 0.9 * (z[0] * s + z[1] * c)])


def _planar(step, z: Floats, rows: int, steps: int = 200_000, eps: float = 1e-6) -> tuple[Floats, float]:  # type: ignore[no-untyped-def]
    v, out, growth = np.array([1.0, 0.0]), [], 0.0
    for number in range(steps):
        v = (step(z + eps * v) - step(z - eps * v)) / (2 * eps)
        size = np.linalg.norm(v)
        growth += float(np.log(size))
        v, z = v / size, step(z)
        if 1000 <= number < 1000 + rows:
            out.append(z)
    return np.array(out), growth / steps


CONTROLS = ("sine", "2-torus", "white noise", "AR(1)", "AR(2)", "IAAFT of Lorenz x")


def controls(lorenz: Floats, seeds: int, noise: float) -> Iterator[tuple[str, Floats]]:
    """Series without chaos, (T, 1) each; phases and frequencies of the oscillations change with the seed."""
    n = np.arange(CONTROL_ROWS)
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 77])
        period, phase = PERIOD * (1 + 0.1 * seed / seeds), rng.uniform(0, 2 * np.pi, 2)
        sine = np.sin(2 * np.pi * n / period + phase[0])
        made = {
            "sine": sine,
            "2-torus": sine + 0.7 * np.sin(2 * np.pi * n / (period * GOLDEN) + phase[1]),
            "white noise": rng.standard_normal(CONTROL_ROWS),
            "AR(1)": _autoregression(rng, (0.95,)),
            "AR(2)": _autoregression(rng, (2 * 0.98 * np.cos(2 * np.pi / 40), -(0.98**2))),
            "IAAFT of Lorenz x": iaaft(lorenz, rng),
        }
        for name in CONTROLS:
            x = made[name]
            yield name, (x + noise * x.std() * rng.standard_normal(len(x)))[:, None]


def _autoregression(rng: np.random.Generator, weights: tuple[float, ...]) -> Floats:
    kicks, out = rng.standard_normal(CONTROL_ROWS + 1000), [0.0] * len(weights)
    for kick in kicks:
        out.append(sum(w * x for w, x in zip(weights, out[::-1], strict=False)) + kick)
    return np.array(out[-CONTROL_ROWS:])


def iaaft(x: Floats, rng: np.random.Generator, rounds: int = 200) -> Floats:
    """Surrogate with the spectrum and the values of x (T,) and nothing else of it.

    Source: T. Schreiber, A. Schmitz (1996), doi:10.1103/PhysRevLett.77.635.
    """
    values, size = np.sort(x), np.abs(np.fft.rfft(x))
    y = rng.permutation(x)
    for _ in range(rounds):
        y = np.fft.irfft(size * np.exp(1j * np.angle(np.fft.rfft(y))), len(x))
        y = values[np.argsort(np.argsort(y))]
    return y
