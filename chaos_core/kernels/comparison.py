"""How far a scan is from another one, for trials on the machine on which it is to run."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from chaos_core.cells.base import Cell
from chaos_core.typing import Floats

__all__ = ["LARGEST_DEVIATION", "Scan", "Windows", "deviation"]

Scan: TypeAlias = Callable[[Cell, Mapping[str, Tensor], Tensor, Tensor, Floats, Tensor | None], Tensor]
Windows: TypeAlias = tuple[Tensor, Tensor, Tensor | None]
"""z0, d, s as a scan takes them."""

LARGEST_DEVIATION = 1e-4
"""Of float32: a dozen steps of sums over some hundred terms round to 1e-6 of the largest entry; a wrong index or a
product in TensorFloat-32 is off by 1e-3 or more."""


def deviation(one: Scan, other: Scan, cell: Cell, p: Mapping[str, Tensor], windows: Windows, alpha: Floats) -> float:
    """The largest difference of values and gradients, each relative to its largest entry; NaN where anything is NaN.

    Args:
        one, other: what to compare.
        cell, p: the equations and their parameters.
        windows: what goes in. Gradients are those of the tensors, among p too, that require one.
        alpha: (T, M) the mask.
    """
    ours, theirs = (_values_and_gradients(scan, cell, p, windows, alpha) for scan in (one, other))
    far = [(a - b).abs().max() / b.abs().max().clamp(min=1e-30) for a, b in zip(ours, theirs, strict=True)]
    return float(torch.stack(far).max())


def _values_and_gradients(
    scan: Scan, cell: Cell, p: Mapping[str, Tensor], windows: Windows, alpha: Floats
) -> list[Tensor]:
    inside = {name: _leaf(value) for name, value in p.items()}
    z0, d, s = (_leaf(windows[0]), _leaf(windows[1]), None if windows[2] is None else _leaf(windows[2]))
    z = scan(cell, inside, z0, d, alpha, s)
    leaves = [leaf for leaf in (*inside.values(), z0, d, s) if leaf is not None and leaf.requires_grad]
    weights = torch.linspace(0.5, 1.5, z.numel(), dtype=z.dtype, device=z.device).view(z.shape)
    gradients = torch.autograd.grad((weights * z * z).mean(), leaves, allow_unused=True)
    found = [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, gradients, strict=True)]
    return [z.detach().clone(), *found]


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)
