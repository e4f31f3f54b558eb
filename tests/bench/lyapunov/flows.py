"""Chaotic flows of dysts, integrated here, with their true exponents. Runs in .venv-bench: `python flows.py FOLDER`.

Orbits: fourth-order Runge-Kutta with a thousandth of the dominant period as step, 200 periods thrown away, then 8000
rows at forty rows a period. Truth: one tangent vector (Benettin), 3200 periods at a five-hundredth of a period and
1200 at half that step. A flow is kept where both agree within 6 %, the standard error is below 3 % and the exponent
lies between 0.04 and 6 nats a period. The exponents that dysts ships are not used: they are off by a tenth on median.
"""

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dysts
import dysts.flows
import numba
import numpy as np

ROWS_PER_PERIOD = 40
ROWS = 8000
STEPS_PER_ROW = 25
TRANSIENT_PERIODS = 200
BLOCKS = 8
PERIODS_PER_BLOCK = 400


def candidates() -> dict[str, dict[str, Any]]:
    """Autonomous flows of three and four dimensions whose coordinates are bounded."""
    facts = Path(dysts.__file__).parent / "data" / "chaotic_attractors.json"
    refused = ("delay", "nonautonomous", "hamiltonian", "unbounded_indices")
    known: dict[str, dict[str, Any]] = json.loads(facts.read_text())
    return {
        name: meta
        for name, meta in known.items()
        if meta["embedding_dimension"] in (3, 4) and not any(meta[word] for word in refused)
    }


def compiled(name: str, meta: dict[str, Any]) -> Any:
    """dx/dt as `f(x, out)`."""
    rule = getattr(dysts.flows, name)._rhs
    if not hasattr(rule, "py_func"):
        rule = numba.njit(rule)
    dimension = meta["embedding_dimension"]
    parameters = [
        meta["parameters"][word] for word in list(inspect.signature(rule.py_func).parameters)[dimension + 1 :]
    ]
    values = [
        repr(float(value)) if np.isscalar(value) else f"np.array({np.asarray(value, float).tolist()!r})"
        for value in parameters
    ]
    state = ", ".join(f"x[{i}]" for i in range(dimension))
    source = f"def field(x, out):\n    d = rule({', '.join([state, '0.0', *values])})\n"
    source += "".join(f"    out[{i}] = d[{i}]\n" for i in range(dimension))
    names = {"rule": rule, "np": np}
    exec(source, names)
    return numba.njit(names["field"])


def orbit_of(field: Any, dimension: int) -> Callable[..., Any]:
    @numba.njit
    def orbit(start, h, steps_per_row, rows):
        k, y, x = np.empty((4, dimension)), np.empty(dimension), start.copy()
        out = np.empty((rows, dimension))
        for row in range(rows):
            out[row] = x
            for _ in range(steps_per_row):
                field(x, k[0])
                y[:] = x + 0.5 * h * k[0]
                field(y, k[1])
                y[:] = x + 0.5 * h * k[1]
                field(y, k[2])
                y[:] = x + h * k[2]
                field(y, k[3])
                x[:] = x + h / 6 * (k[0] + 2 * k[1] + 2 * k[2] + k[3])
        return out

    return orbit


def exponent_of(field: Any, dimension: int) -> Callable[..., Any]:
    """Growth of one tangent vector; derivatives along it by central differences of width `eps`."""

    @numba.njit
    def exponent(start, h, blocks, steps, eps):
        x, v = start.copy(), np.ones(dimension) / np.sqrt(dimension)
        k, j = np.empty((4, dimension)), np.empty((4, dimension))
        y, w, up, down = np.empty(dimension), np.empty(dimension), np.empty(dimension), np.empty(dimension)
        share, growth = np.array([0.0, 0.5, 0.5, 1.0]), np.zeros(blocks)
        for block in range(blocks):
            for _ in range(steps):
                for m in range(4):
                    y[:] = x
                    w[:] = v
                    if m > 0:
                        y += share[m] * h * k[m - 1]
                        w += share[m] * h * j[m - 1]
                    field(y, k[m])
                    field(y + eps * w, up)
                    field(y - eps * w, down)
                    j[m] = (up - down) / (2 * eps)
                x += h / 6 * (k[0] + 2 * k[1] + 2 * k[2] + k[3])
                v += h / 6 * (j[0] + 2 * j[1] + 2 * j[2] + j[3])
                size = np.sqrt((v * v).sum())
                growth[block] += np.log(size)
                v /= size
        return growth / (steps * h)

    return exponent


def measure(name: str, meta: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    dimension, period = meta["embedding_dimension"], meta["period"]
    field = compiled(name, meta)
    orbit, exponent = orbit_of(field, dimension), exponent_of(field, dimension)
    start = np.atleast_2d(np.array(meta["initial_conditions"], float))[0]
    start = orbit(start, period / 1000, 1000, TRANSIENT_PERIODS)[-1]
    x = orbit(start, period / 1000, STEPS_PER_ROW, ROWS)
    if not np.isfinite(x).all():
        return x, {"keep": False}
    eps = 1e-6 * x.std(axis=0).max()
    blocks = exponent(start, period / 500, BLOCKS, PERIODS_PER_BLOCK * 500, eps)
    halved = exponent(start, period / 1000, 2, 600 * 1000, eps).mean()
    value, error = blocks.mean(), blocks.std(ddof=1) / np.sqrt(BLOCKS)
    steady = value > 0 and error < 0.03 * value and abs(halved - value) < 0.06 * value
    keep = bool(steady and 0.04 < value * period < 6 and x.std(axis=0).min() > 0)
    dt = period / ROWS_PER_PERIOD
    return x, {"keep": keep, "dt": dt, "lambda_max": value, "error": error, "lambda_per_row": value * dt}


def main(folder: Path) -> None:
    """One file a flow, so that a run that was broken off goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, meta in candidates().items():
        file = folder / f"{name}.npz"
        if file.exists():
            continue
        try:
            x, facts = measure(name, meta)
        except Exception as error:
            x, facts = np.zeros((0, 0)), {"keep": False, "reason": repr(error)[:200]}
        np.savez(file, x=x, facts=json.dumps(facts))
        sys.stdout.write(f"{name}: {facts}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
