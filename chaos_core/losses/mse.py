"""Mean squared error."""

from torch import Tensor

__all__ = ["mse"]


def mse(predicted: Tensor, target: Tensor) -> Tensor:
    """mean over windows, steps and channels of (predicted - target)^2.

    Args:
        predicted: (B, T, N), the cell's own outputs before forcing.
        target: (B, T, N) scaled data.

    Returns:
        A scalar. It measures one-step to tau-step errors and does not rank trained models: too small a tau gives the
        lowest loss and one of the worst attractors. Checkpoints are therefore chosen by free runs.
    """
    return (predicted - target).square().mean()
