"""One forward pass of a small training, as the terms of a loss see it: Lorenz's flow, cells of a few units, float64."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from chaos_core.cells import CELLS, Cell
from chaos_core.initialise import draw
from chaos_core.losses import Ground, Pass
from chaos_core.observation import OBSERVATIONS, Observation
from chaos_core.scan import scan
from chaos_core.systems import lorenz63
from chaos_core.typing import Floats

LAMBDA = 0.9056 * 0.03
"""Largest exponent of the flow, nats per row (Sprott 2003)."""

BATCH, LENGTH, TAU = 6, 24, 8
Params = dict[str, torch.Tensor]

SMALL: dict[str, tuple[dict[str, object], str]] = {
    "clipped_shplrnn": ({"latent": 3, "hidden": 8}, "identity"),
    "smooth": ({"kind": "clipped_shplrnn", "latent": 3, "hidden": 8, "smoothing": 0.3}, "affine"),
    "plrnn": ({"latent": 5}, "identity"),
    "lstm": ({"latent": 4}, "linear"),
}
"""Cells by name, with the observation that each is shown through."""


@cache
def rows() -> Floats:
    """(1500, 3) scaled rows of the flow, a step of 0.03."""
    x = lorenz63(1500, 0.03, seed=4).x
    return (x - x.mean(axis=0)) / x.std(axis=0)


def no_slopes() -> tuple[Floats, Floats]:
    """Points with made-up slopes near the identity, for terms whose truth does not depend on them."""
    rng = np.random.default_rng(8)
    return rows()[:200], np.eye(3) + 0.2 * rng.standard_normal((200, 3, 3))


@dataclass(frozen=True)
class Scene:
    """A cell, its observation, start values, and the passes that they give."""

    cell: Cell
    observation: Observation
    params: dict[str, Floats]
    dtype: torch.dtype = torch.float64

    def ground(self, slopes: Callable[[], tuple[Floats, Floats]] = no_slopes) -> Ground:
        return Ground(
            cell=self.cell,
            observation=self.observation,
            x=rows(),
            lambda_max_per_step=LAMBDA,
            slopes=slopes,
            tensor=lambda values: torch.as_tensor(values, dtype=self.dtype),
        )

    def tensors(self) -> Params:
        return {name: torch.tensor(value, dtype=self.dtype, requires_grad=True) for name, value in self.params.items()}

    def done(self, p: Params, progress: float = 0.0, seed: int = 0) -> Pass:
        """The same windows at each call, forced every eighth step, and fresh randomness of that seed."""
        starts = np.random.default_rng(11).integers(0, len(rows()) - LENGTH - 1, BATCH)
        x = torch.as_tensor(rows()[starts[:, None] + np.arange(LENGTH + 1)], dtype=self.dtype)
        alpha = np.zeros((LENGTH, self.cell.state_size))
        alpha[::TAU] = 1.0
        d = self.observation.infer(p, x[:, :-1], self.cell.state_size)
        z = scan(self.cell, p, d[:, 0], d, alpha)
        predicted = self.observation.predict(p, z, 3)
        return Pass(p, x, None, z, predicted, progress, np.random.default_rng(seed))


def scene(name: str, observation: str | None = None, dtype: torch.dtype = torch.float64, seed: int = 5) -> Scene:
    """One of `SMALL`, or any other cell of four units; its start values shaken so that none is zero."""
    words, usual = SMALL.get(name, ({"latent": 4}, "identity"))
    sizes = {key: word for key, word in words.items() if key != "kind"}
    cell = CELLS[str(words.get("kind", name))].fill(sizes, observed=3, embedded=False)
    view = OBSERVATIONS[observation or usual]()
    rng = np.random.default_rng(seed)
    drawn = draw(cell.parameters() | view.parameters(cell.latent, 3), rng)
    shaken = {key: value + 0.1 * rng.standard_normal(value.shape) for key, value in drawn.items()}
    return Scene(cell, view, shaken, dtype)
