"""The one recurrence. Every kernel must give what this gives, values and gradients.

z~_0 = z_0;   z~_t = (1 - alpha_t) z_t + alpha_t d_t  for t >= 1;   z_{t+1} = F(z~_t).
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from chaos_core.cells.base import Cell
from chaos_core.typing import Floats

__all__ = ["scan"]


def scan(cell: Cell, p: Mapping[str, Tensor], z0: Tensor, d: Tensor, alpha: Floats) -> Tensor:
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

    Returns:
        (B, T, M): z_1 ... z_T, the states BEFORE forcing, so that the loss sees the cell's own output; row t belongs
        to x_{t+1}.

    Source: Hess, Monfared, Brenner, Durstewitz (2023), ICML, arXiv:2306.04406 (generalized forcing), of which the
        sparse forcing of Mikhaeil et al. (2022), arXiv:2110.07238, is the case alpha in {0, 1}.
    Differs: alpha may depend on time and unit.
    """
    step = cell.bind(p)
    data = d.unbind(1)
    weights = torch.as_tensor(alpha, dtype=d.dtype, device=d.device)
    full = alpha == 1.0
    free, replaced, mixed = (np.logical_not(np.any(alpha, 1)), np.all(full, 1), np.any(full, 1))
    z, states = step(z0), []
    states.append(z)
    for t in range(1, len(data)):
        if replaced[t]:
            z = data[t]
        elif not free[t]:
            pulled = (1.0 - weights[t]) * z + weights[t] * data[t]
            z = torch.where(weights[t] == 1.0, data[t], pulled) if mixed[t] else pulled
        z = step(z)
        states.append(z)
    return torch.stack(states, dim=1)
