"""Mean squared error."""

from __future__ import annotations

from chaos_core.typing import Tensor

__all__ = ["mse"]


def mse(predicted: Tensor, target: Tensor, present: Tensor | None = None) -> Tensor:
    """mean over windows, steps and channels of (predicted - target)^2, over the entries that were measured.

    Args:
        predicted: (B, T, N), the cell's own outputs before forcing.
        target: (B, T, N) scaled data; anything where an entry is missing.
        present: (B, T, N) True where an entry was measured; None where all were.

    Returns:
        A scalar; 0 where nothing was measured. It measures one-step to tau-step errors and does not rank trained
        models: too small a tau gives the lowest loss and one of the worst attractors. Checkpoints are therefore
        chosen by free runs.
    """
    if present is None:
        return (predicted - target).square().mean()
    counts = present.to(predicted.dtype)
    return ((predicted - target).square() * counts).sum() / counts.sum().clamp(min=1.0)
