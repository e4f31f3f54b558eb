"""Free runs from states of the data, for the terms that look at the cell's own orbits.

No term by itself, so no Source.
"""

from __future__ import annotations

import numpy as np

from chaos_core.cells.base import Cell
from chaos_core.errors import Inconsistent
from chaos_core.losses.base import Ground, torch_of
from chaos_core.typing import Map, Params, Tensor

__all__ = ["inferred", "orbit", "refuse_inputs"]


def refuse_inputs(kind: str, cell: Cell) -> None:
    """Raises Inconsistent for a cell with external inputs, of which a free run knows no future."""
    if cell.inputs:
        raise Inconsistent(f"the term '{kind}' is made for cells without external inputs; this one has {cell.inputs}")


def inferred(ground: Ground, rows: Tensor, p: Params, rng: np.random.Generator, count: int) -> Tensor:
    """(count, M) states inferred from rows of the data that are drawn with replacement.

    Args:
        ground: cell and observation.
        rows: `ground.x` as a tensor (R, N); complete rows, so that no filled gap becomes a state.
        p: parameters of the observation.
        rng: draws the rows.
        count: how many.
    """
    drawn = rows[rng.integers(0, len(rows), count)]
    return ground.observation.infer(p, drawn, ground.cell.state_size)


def orbit(step: Map, z: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """z_0 ... z_{n-1} and z_n of n = `steps` free steps: (n, B, M) and (B, M)."""
    states = []
    for _ in range(steps):
        states.append(z)
        z = step(z)
    stacked: Tensor = torch_of().stack(states)
    return stacked, z
