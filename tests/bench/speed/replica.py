"""Training loops in the manner of the peers' code, written anew: what our kernels are measured against.

As in ChaosRNN (Mikhaeil et al. 2022), dendPLRNN (Brenner et al. 2022) and DynaMix (clipped shPLRNN under generalized
forcing, Hess et al. 2023): a torch module, a Python loop over time that writes each state into a preallocated tensor,
autograd, Adam on separate parameters. Detours of theirs that only cost time (transposed states, copies) are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy.typing as npt
import torch
from torch import Tensor, nn

from chaos_core.cells.dendplrnn import DendPLRNN
from chaos_core.cells.lstm import LSTM
from chaos_core.cells.plrnn import PLRNN
from chaos_core.cells.rnn import RNN
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.forcing.generalized import Generalized
from chaos_core.forcing.sparse import Sparse
from tests.bench.speed.cases import Case

__all__ = ["Weights", "replica"]

Weights: TypeAlias = Mapping[str, npt.NDArray[Any]]


def replica(case: Case, params: Weights) -> nn.Module:
    """The module with these weights; it maps windows (B, T, N) to predictions (T, B, N)."""
    p = {name: torch.tensor(value) for name, value in params.items()}
    match case.cell, case.forcing:
        case PLRNN(), Sparse(tau=tau):
            return PiecewiseLinear(p, tau)
        case DendPLRNN(), Sparse(tau=tau):
            return Dendritic(p, tau)
        case ((RNN() | LSTM()), Sparse(tau=tau)):
            return Gated(p, tau, case.observed)
        case ClippedShPLRNN(), Generalized(alpha=alpha):
            return Shallow(p, alpha)
    raise TypeError(f"the peers have no {case.name}")


def _read_out(p: Mapping[str, Tensor]) -> nn.Linear:
    layer = nn.Linear(p["B"].shape[1], p["B"].shape[0], bias=False)
    layer.weight = nn.Parameter(p["B"])
    return layer


class PiecewiseLinear(nn.Module):
    """A and W in one matrix that each pass splits; the inverse of B once per pass."""

    def __init__(self, p: Mapping[str, Tensor], tau: int) -> None:
        super().__init__()
        off_diagonal = p["W"] - torch.diag(torch.diag(p["W"]))
        self.AW = nn.Parameter(off_diagonal + torch.diag(p["A"]))
        self.h = nn.Parameter(p["h"])
        self.read_out = _read_out(p)
        self.tau = tau

    def units(self, z: Tensor) -> Tensor:
        return torch.relu(z)

    def forward(self, x: Tensor) -> Tensor:
        batch, steps, _ = x.shape
        rows = x.permute(1, 0, 2)
        a = torch.diag(self.AW)
        w = self.AW - torch.diag(a)
        inverse = torch.pinverse(self.read_out.weight)
        zs = torch.empty(steps, batch, len(self.h))
        z = rows[0] @ inverse.t()
        for t in range(steps):
            if t and t % self.tau == 0:
                z = rows[t] @ inverse.t()
            z = a * z + self.units(z) @ w.t() + self.h
            zs[t] = z
        predicted: Tensor = self.read_out(zs)
        return predicted


class Dendritic(PiecewiseLinear):
    """A basis of thresholds in place of the rectifier; they are added, as in the authors' code."""

    def __init__(self, p: Mapping[str, Tensor], tau: int) -> None:
        super().__init__(p, tau)
        self.alphas = nn.Parameter(p["alpha"])
        self.thetas = nn.Parameter(-p["H"])

    def units(self, z: Tensor) -> Tensor:
        return torch.sum(self.alphas * torch.relu(z.unsqueeze(-1) + self.thetas), dim=-1)


class Gated(nn.Module):
    """torch's own RNN or LSTM, one step a call with zeros as input; the inverse of B anew at each forced row."""

    def __init__(self, p: Mapping[str, Tensor], tau: int, observed: int) -> None:
        super().__init__()
        latent = p["W"].shape[1]
        kind = nn.RNN if len(p["W"]) == latent else nn.LSTM
        self.cell = kind(observed, latent)
        self.cell.weight_hh_l0 = nn.Parameter(p["W"])
        self.cell.bias_hh_l0 = nn.Parameter(p["b"])
        nn.init.zeros_(self.cell.get_parameter("bias_ih_l0"))
        self.read_out = _read_out(p)
        self.tau = tau

    def forward(self, x: Tensor) -> Tensor:
        batch, steps, observed = x.shape
        rows = x.permute(1, 0, 2)
        nothing = torch.zeros(1, batch, observed)
        zs = torch.empty(steps, batch, self.cell.hidden_size)
        state: Any = None
        for t in range(steps):
            if t % self.tau == 0:
                state = self._forced(rows[t])
            output, state = self.cell(nothing, state)
            zs[t] = output[0]
        predicted: Tensor = self.read_out(zs)
        return predicted

    def _forced(self, row: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        h = (row @ torch.pinverse(self.read_out.weight).t()).unsqueeze(0)
        return (h, torch.zeros_like(h)) if isinstance(self.cell, nn.LSTM) else h


class Shallow(nn.Module):
    """The data are mixed into the state before each step; the state is the prediction."""

    def __init__(self, p: Mapping[str, Tensor], alpha: float) -> None:
        super().__init__()
        self.A, self.W1, self.W2, self.h1, self.h2 = (nn.Parameter(p[name]) for name in ("A", "W1", "W2", "h1", "h2"))
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        batch, steps, latent = x.shape
        rows = x.permute(1, 0, 2)
        zs = torch.empty(steps, batch, latent)
        z = rows[0]
        for t in range(steps):
            if t:
                z = self.alpha * rows[t] + (1 - self.alpha) * z
            u = z @ self.W2.t()
            z = self.A * z + (torch.relu(u + self.h2) - torch.relu(u)) @ self.W1.t() + self.h1
            zs[t] = z
        return zs
