"""The peers' own modules, imported from clones of their repositories; nothing here runs without PEERS.

PEERS names a folder with DurstewitzLab+ChaosRNN, DurstewitzLab+dendPLRNN and DurstewitzLab+DynaMix-python.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from chaos_core.cells.dendplrnn import DendPLRNN
from chaos_core.cells.plrnn import PLRNN
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.forcing.generalized import Generalized
from chaos_core.forcing.sparse import Sparse
from tests.bench.speed.cases import Case
from tests.bench.speed.replica import Weights

__all__ = ["clone"]

CHAOS_RNN = "DurstewitzLab+ChaosRNN/bptt"
DEND_PLRNN = "DurstewitzLab+dendPLRNN/BPTT_TF/bptt"
DYNAMIX = "DurstewitzLab+DynaMix-python/src/dynamix"


def clone(case: Case, params: Weights) -> nn.Module | None:
    """The authors' module with these weights, from windows (B, T, N) to predictions (T, B, N); None without clones."""
    folder = os.environ.get("PEERS")
    if not folder:
        return None
    p = {name: torch.tensor(value) for name, value in params.items()}
    with contextlib.redirect_stdout(io.StringIO()), _datasets():
        match case.cell, case.forcing:
            case ClippedShPLRNN(), Generalized(alpha=alpha):
                return _DynaMix(Path(folder, DYNAMIX), p, alpha)
            case DendPLRNN(), Sparse(tau=tau):
                return _Dendritic(Path(folder, DEND_PLRNN), p, tau)
            case PLRNN(), Sparse(tau=tau):
                return _PiecewiseLinear(Path(folder, CHAOS_RNN), p, tau)
            case _, Sparse(tau=tau):
                return _Gated(Path(folder, CHAOS_RNN), p, tau)
    return None


def _module(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"peer_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _datasets() -> Iterator[None]:
    """dendPLRNN imports the class of its datasets from a package `bptt`, for an annotation only."""
    stand_in = ModuleType("bptt.dataset")
    stand_in.__dict__["GeneralDataset"] = object
    sys.modules["bptt.dataset"] = stand_in
    try:
        yield
    finally:
        del sys.modules["bptt.dataset"]


def _matrix(p: dict[str, Tensor]) -> nn.Parameter:
    return nn.Parameter(p["W"] - torch.diag(torch.diag(p["W"])) + torch.diag(p["A"]))


class _ReadOut(nn.Module):
    """A read-out without bias behind the authors' module."""

    def __init__(self, p: dict[str, Tensor], tau: int) -> None:
        super().__init__()
        self.tau = tau
        self.read_out = nn.Linear(p["B"].shape[1], p["B"].shape[0], bias=False)
        self.read_out.weight = nn.Parameter(p["B"])
        self.inside: Any = None

    def states(self, x: Tensor) -> Tensor:
        found: Tensor = self.inside(x, self.tau)
        return found

    def forward(self, x: Tensor) -> Tensor:
        predicted: Tensor = self.read_out(self.states(x))
        return predicted.permute(1, 0, 2)


class _PiecewiseLinear(_ReadOut):
    def __init__(self, folder: Path, p: dict[str, Tensor], tau: int) -> None:
        super().__init__(p, tau)
        kind = _module(folder / "PLRNN_model.py").PLRNN
        self.inside = kind(*p["B"].shape, 0, None, "PLRNN", False, self.read_out)
        self.inside.latent_step.AW, self.inside.latent_step.h = _matrix(p), nn.Parameter(p["h"])


class _Dendritic(_ReadOut):
    def __init__(self, folder: Path, p: dict[str, Tensor], tau: int) -> None:
        super().__init__(p, tau)
        kind = _module(folder / "PLRNN_model.py").PLRNN
        self.inside = kind(*p["B"].shape, len(p["alpha"]), None, "dendr-PLRNN", False, None)
        step = self.inside.latent_step
        step.AW, step.h = _matrix(p), nn.Parameter(p["h"])
        step.alphas, step.thetas = nn.Parameter(p["alpha"]), nn.Parameter(-p["H"])

    def states(self, x: Tensor) -> Tensor:
        found: Tensor = self.inside(x, self.tau, None, self.read_out.weight)
        return found


class _Gated(_ReadOut):
    def __init__(self, folder: Path, p: dict[str, Tensor], tau: int) -> None:
        super().__init__(p, tau)
        name = "RNN" if len(p["W"]) == p["W"].shape[1] else "LSTM"
        self.inside = getattr(_module(folder / f"{name.lower()}_model.py"), name)(*p["B"].shape, self.read_out)
        step = self.inside.latent_step
        step.weight_hh_l0, step.bias_hh_l0 = nn.Parameter(p["W"]), nn.Parameter(p["b"])
        nn.init.zeros_(step.bias_ih_l0)


class _Expert:
    """What DynaMix's loop asks of its mixture, with one expert and nothing beside it."""

    def __init__(self, expert: Callable[[Tensor], Tensor], latent: int) -> None:
        self.expert, self.M, self.B = expert, latent, torch.eye(latent)

    def __call__(self, z: Tensor, context: None) -> Tensor:
        return self.expert(z)


class _DynaMix(nn.Module):
    """One expert in the loop of `predict_sequence_using_gtf`."""

    def __init__(self, folder: Path, p: dict[str, Tensor], alpha: float) -> None:
        super().__init__()
        self.expert = _module(folder / "model" / "dynamix.py").ClippedShallowPLRNN(*p["W1"].shape)
        for name, value in p.items():
            setattr(self.expert, name, nn.Parameter(value))
        self.run = _module(folder / "training" / "teacher_forcing.py").predict_sequence_using_gtf
        self.alpha = alpha
        self.mixture = _Expert(self.expert, len(p["A"]))

    def forward(self, x: Tensor) -> Tensor:
        predicted: Tensor = self.run(self.mixture, x.permute(1, 0, 2), None, self.alpha, 1)
        return predicted
