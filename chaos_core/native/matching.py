"""Slopes towards which training pulls those of the cell."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Matching"]


@dataclass(frozen=True, eq=False)
class Matching:
    """Jacobians of the data's dynamics, towards which an update also pulls those of the cell.

    penalty = weight * mean_r ||J(points_r) - slopes_r||^2 / scale over the rows r of an update, in Frobenius norms, J
    being `cell.jacobian`. A cell can follow the data closely with slopes that are wrong, and its exponents are then
    wrong too; the slopes come from a smooth map fitted to the same data.

    Args:
        points: (R, M) states, in the units of the training series.
        slopes: (R, M, M) what the Jacobian should be there, in the same units: of the map over one row.
        weight: 0.01 to 0.1 brought the error of J - I from about 1 to 0.15 with attractors as good or better; 1 hurts.

    Raises:
        ValueError: a shape does not fit, a number is not finite, all slopes are the identity, or the weight is not
            positive.

    Source: derivatives as targets, Czarnecki, Osindero, Jaderberg, Swirszcz, Pascanu (2017), Sobolev training for
        neural networks, arXiv:1706.04859.
    Differs: the target slopes are those of a fitted map; the unit of the error, ||J - I||, takes out the sampling step.
        With M = N it is the loss "jacobian_matching".
    """

    points: npt.NDArray[Any]
    slopes: npt.NDArray[Any]
    weight: float

    def __post_init__(self) -> None:
        shape = self.points.shape
        if len(shape) != 2 or shape[0] == 0 or self.slopes.shape != (*shape, *shape[1:]):
            raise ValueError(f"points must be (R, M) and slopes (R, M, M), got {shape} and {self.slopes.shape}")
        if not (np.isfinite(self.points).all() and np.isfinite(self.slopes).all() and 0 < self.weight < np.inf):
            raise ValueError("points and slopes must be finite, the weight positive")
        if self.scale == 0:
            raise ValueError("all slopes are the identity: their distance has no scale")

    @cached_property
    def scale(self) -> float:
        """Mean over all R of ||slopes_r - I||^2."""
        return float(((self.slopes - np.eye(self.slopes.shape[1])) ** 2).sum((1, 2)).mean())
