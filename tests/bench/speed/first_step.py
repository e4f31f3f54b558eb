"""`python -m tests.bench.speed.first_step WAY`: imports, one native training step, and what that took.

Nothing but the clock is imported on top, since the imports are what is measured. WAY "whole" also imports the trainer
and with it torch; "cell" the native step for a cell; "bare" the native step alone, with the equations spelt out.
"""

import importlib
import json
import sys
import time
from typing import Any

__all__: list[str] = []

LATENT, HIDDEN, BATCH, STEPS = 3, 50, 16, 200
SHAPES = {"A": (LATENT,), "W1": (LATENT, HIDDEN), "W2": (HIDDEN, LATENT), "h1": (LATENT,), "h2": (HIDDEN,)}


def _step(way: str, x: Any, params: Any) -> Any:
    if way == "bare":
        equations = importlib.import_module("chaos_core.native.equations").Equations
        described = equations("clipped_shplrnn", SHAPES, latent=LATENT, state=LATENT, observed=LATENT, inner=HIDDEN)
        return importlib.import_module("chaos_core.native.step").NativeStep(described, x, params)
    cell = importlib.import_module("chaos_core.cells.shplrnn").ClippedShPLRNN(latent=LATENT, hidden=HIDDEN)
    return importlib.import_module("chaos_core.kernels.fused").native_step(cell, x, params)


def _loss(way: str) -> float:
    np: Any = importlib.import_module("numpy")
    rng = np.random.default_rng(0)
    params = {name: rng.uniform(-0.1, 0.1, shape) for name, shape in SHAPES.items()}
    x = np.sin(np.arange(2 * STEPS)[:, None] / 10 + np.arange(LATENT)).astype(np.float32)
    loss, _ = _step(way, x, params).update(rng.integers(0, STEPS, BATCH), np.full((STEPS, LATENT), 0.1), 1e-3)
    return float(loss)


def _measured(way: str) -> dict[str, object]:
    began = time.perf_counter()
    if way == "whole":
        importlib.import_module("chaos_core.training")
    try:
        loss, refusal = _loss(way), None
    except (ValueError, ModuleNotFoundError) as error:
        loss, refusal = None, str(error)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "loss": loss, "refusal": refusal, "torch": "torch" in sys.modules}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measured(sys.argv[1])))
