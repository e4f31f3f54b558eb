"""Cells with one hidden layer of rectifiers, written as shallow PLRNNs: one program then runs them all."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from chaos_core.cells import Cell
from chaos_core.cells.dendplrnn import ClippedDendPLRNN, DendPLRNN
from chaos_core.cells.plrnn import PLRNN, MeanCentredPLRNN, without_diagonal, without_row_means
from chaos_core.cells.shplrnn import ClippedShPLRNN, ShPLRNN

__all__ = ["Shallow", "as_shallow"]


@dataclass(frozen=True, eq=False)
class Shallow:
    """z' = A z + W1 a + h1 with a = phi(W2 z + h2), or phi(W2 z + h2) - phi(W2 z) where clipped.

    phi(v) = (v + sqrt(v^2 + delta^2)) / 2 where clipped, and max(0, v) for delta = 0.

    Args:
        a, h1: (..., M).
        w1: (..., L, M), W1 transposed, so that it lies in memory as W2 does.
        w2: (..., L, M).
        h2: (..., L).
        clipped: see above.
        square: delta^2.
    """

    a: Tensor
    w1: Tensor
    w2: Tensor
    h1: Tensor
    h2: Tensor
    clipped: bool = False
    square: float = 0.0


def as_shallow(cell: Cell, p: Mapping[str, Tensor]) -> Shallow:
    """The same map as `cell.bind(p)`, differentiable with respect to p.

    A PLRNN is the shallow one whose W2 is the identity (less 1 / M where the mean is subtracted), a dendPLRNN one that
    has every row of it once for each threshold. Products with an identity are wasted work, which the GPU has to spare.

    Args:
        cell: one of those that `chaos_core.refusal.scan_refusal` knows.
        p: its parameters, any number of leading axes.

    Raises:
        TypeError: the cell has no such form.
    """
    match cell:
        case ShPLRNN():
            return Shallow(p["A"], p["W1"].mT, p["W2"], p["h1"], p["h2"])
        case ClippedShPLRNN():
            return Shallow(p["A"], p["W1"].mT, p["W2"], p["h1"], p["h2"], True, cell.smoothing**2)
        case PLRNN() | MeanCentredPLRNN():
            w = without_diagonal(p["W"])
            centred = isinstance(cell, MeanCentredPLRNN)
            return Shallow(p["A"], w.mT, _units(w, centred), p["h"], torch.zeros_like(p["h"]))
        case DendPLRNN() | ClippedDendPLRNN():
            w, bases = without_diagonal(p["W"]), cell.bases
            w1 = (w.mT[..., :, None, :] * p["alpha"][..., None, :, None]).flatten(-3, -2)
            w2 = _units(w, cell.centred).repeat_interleave(bases, dim=-2)
            return Shallow(p["A"], w1, w2, p["h"], -p["H"].flatten(-2), isinstance(cell, ClippedDendPLRNN))
    raise TypeError(f"{type(cell).__name__} has no hidden layer of rectifiers")


def _units(like: Tensor, centred: bool) -> Tensor:
    """The identity, or I - 1 1' / M."""
    identity = torch.eye(like.shape[-1], dtype=like.dtype, device=like.device).expand(like.shape)
    return without_row_means(identity) if centred else identity
