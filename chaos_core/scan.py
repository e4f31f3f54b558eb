"""The one recurrence. Every kernel must give what this gives, values and gradients.

z~_0 = z_0;   z~_t = (1 - alpha_t) z_t + alpha_t d_t  for t >= 1;   z_{t+1} = F(z~_t).
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from chaos_core.cells.base import Cell
from chaos_core.observation import Observation
from chaos_core.typing import Floats

__all__ = ["scan", "scan_with_gaps"]


def scan(cell: Cell, p: Mapping[str, Tensor], z0: Tensor, d: Tensor, alpha: Floats, s: Tensor | None = None) -> Tensor:
    """Runs a cell through a window of data under a forcing mask, step by step.

    Where alpha is exactly 1 the state is replaced and not mixed: (1 - 1) * inf would be NaN, and a free run that
    diverged must not poison the forced step after it. A row of zeros leaves the state untouched in the same way, so
    that d may be anything there.

    Args:
        cell: its `bind` gives F.
        p: the cell's parameters.
        z0: (B, M) state at the start, inferred from x_0; row 0 of alpha is not looked at.
        d: (B, T, M) states inferred from x_0 ... x_{T-1}.
        alpha: (T, M) numpy, in [0, 1].
        s: (B, T, W) drive of the external inputs, row t being C u_{t+1}; None where there are none.

    Returns:
        (B, T, M): z_1 ... z_T, the states BEFORE forcing, so that the loss sees the cell's own output; row t belongs
        to x_{t+1}.

    Source: Hess, Monfared, Brenner, Durstewitz (2023), ICML, arXiv:2306.04406 (generalized forcing), of which the
        sparse forcing of Mikhaeil et al. (2022), arXiv:2110.07238, is the case alpha in {0, 1}.
    Differs: alpha may depend on time and unit.
    """
    data = d.unbind(1)
    return _run(cell, p, z0, alpha, s, lambda t, _z: data[t])


def scan_with_gaps(
    cell: Cell,
    observation: Observation,
    p: Mapping[str, Tensor],
    x: Tensor,
    present: Tensor,
    alpha: Floats,
    s: Tensor | None = None,
) -> Tensor:
    """As `scan`, on windows with missing entries: at a forced step each takes the cell's own prediction.

    d_t = infer(x_t where it was measured, predict(z_t) elsewhere). With the identity observation a unit whose entry is
    missing is simply not forced.

    Args:
        cell, observation, p, alpha, s: as for `scan`.
        x: (B, T, N) data; missing entries of row 0 filled, of other rows anything finite.
        present: (B, T, N) True where an entry was measured.
    """
    rows, there = x.unbind(1), present.unbind(1)

    def inferred(t: int, z: Tensor) -> Tensor:
        seen = torch.where(there[t], rows[t], observation.predict(p, z, x.shape[-1]))
        return observation.infer(p, seen, cell.state_size)

    return _run(cell, p, observation.infer(p, rows[0], cell.state_size), alpha, s, inferred)


def _run(
    cell: Cell,
    p: Mapping[str, Tensor],
    z0: Tensor,
    alpha: Floats,
    s: Tensor | None,
    inferred: Callable[[int, Tensor], Tensor],
) -> Tensor:
    step = cell.bind(p)
    weights = torch.as_tensor(alpha, dtype=z0.dtype, device=z0.device)
    drives = [None] * len(alpha) if s is None else list(s.unbind(1))
    full = alpha == 1.0
    free, replaced, mixed = (np.logical_not(np.any(alpha, 1)), np.all(full, 1), np.any(full, 1))
    z, states = step(z0, drives[0]), []
    states.append(z)
    for t in range(1, len(alpha)):
        if not free[t]:
            data = inferred(t, z)
            if replaced[t]:
                z = data
            else:
                pulled = (1.0 - weights[t]) * z + weights[t] * data
                z = torch.where(weights[t] == 1.0, data, pulled) if mixed[t] else pulled
        z = step(z, drives[t])
        states.append(z)
    return torch.stack(states, dim=1)
