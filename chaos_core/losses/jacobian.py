"""Jacobian matching: the cell's slopes are pulled to those of a smooth map fitted to the data."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from chaos_core.cells.base import Cell
from chaos_core.losses.base import Ground, Loss, Pass, Term
from chaos_core.losses.rollout import refuse_inputs
from chaos_core.observation import Observation
from chaos_core.typing import Params, Tensor

__all__ = ["JacobianMatching", "observed_jacobian"]


class JacobianMatching(Loss, frozen=True):
    """mean over P data points x of |J(x) - J*(x)|_F^2 / s, with s = mean over all points of |J* - I|_F^2.

    J(x) (N, N) is the derivative of the observed step x -> predict(F(infer(x))), J* that of the map which the
    estimator of lambda_max fits to the data. Relative to s, the distance from the identity, because a step of densely
    sampled data hardly moves: a cell that stands still scores 1, whatever the sampling step.

    Prediction errors hardly see slopes: trained rectifier cells draw the right attractor with exponents two to five
    times too large. In our runs on stiff flows the term brought the error of J - I from 0.6-1.4 to 0.12-0.2 at weights
    of 0.01 to 0.1. The exponents follow where the cell is smooth as well (`smoothing` of the clipped shPLRNN): over 47
    flows their median error is 36 % without both, 5 % with both at either weight, and D_stsp 0.47, 0.36 at 0.01 and
    0.28 at 0.1 (docs/exponents.md). Weight 1 does harm.

    With hidden units J is only what the cell does right after inference: on a free run hidden units are not the
    function of x that `infer` gives, and slopes differ.

    Source: derivatives as targets, Simard, Victorri, LeCun, Denker (1991), Tangent prop, NeurIPS 4; Czarnecki,
        Osindero, Jaderberg, Swirszcz, Pascanu (2017), Sobolev training for neural networks, arXiv:1706.04859.
    Differs: the target slopes are not known but those of a map fitted to the same series.
    """

    citation: ClassVar[str] = (
        "Czarnecki, Osindero, Jaderberg, Swirszcz, Pascanu (2017), Sobolev training for neural networks, "
        "arXiv:1706.04859"
    )

    kind: Literal["jacobian_matching"] = "jacobian_matching"
    weight: float = Field(0.1, gt=0.0, le=1e9, description="Factor of the term; 0.01 to 0.1 helped, 1 did harm.")
    points: int = Field(64, ge=1, le=4096, description="P, data points drawn per update; 64 cost less than the window.")

    def check(self, cell: Cell, observation: Observation) -> None:
        """Raises Inconsistent for a cell with external inputs, which the fitted map does not know."""
        del observation
        refuse_inputs(self.kind, cell)

    def bind(self, ground: Ground) -> Term:
        """Fits the map (a second or two) and keeps its points and slopes."""
        self.check(ground.cell, ground.observation)
        points, slopes = ground.slopes()
        away = np.square(slopes - np.eye(points.shape[1])).sum(axis=(1, 2)).mean()
        x, wanted = ground.tensor(points), ground.tensor(slopes)
        scale = max(float(away), float(np.finfo(np.float32).tiny))

        def term(done: Pass) -> Tensor:
            drawn = done.rng.integers(0, len(points), self.points)
            found = observed_jacobian(ground.cell, ground.observation, done.p, x[drawn])
            return (found - wanted[drawn]).square().sum((-2, -1)).mean() / scale

        return term


def observed_jacobian(cell: Cell, observation: Observation, p: Params, x: Tensor) -> Tensor:
    """The derivative of the observed step: d predict(F(infer(x))) / dx.

    Formula: G J(infer(x)) E with the matrices G (N, M) of `predict` and E (M, N) of `infer`. All observations are
    affine, so these are the images of unit vectors less the image of zero. For the linear observation it is
    B J pinv(B), for the identity with M = N it is J.

    Args:
        cell, observation: the equations, without external inputs.
        p: parameters of both.
        x: (P, N) observations.

    Returns:
        (P, N, N).
    """
    size, observed = cell.state_size, x.shape[-1]
    units, channels = x.new_ones(size).diag_embed(), x.new_ones(observed).diag_embed()
    read = observation.predict(p, units, observed) - observation.predict(p, x.new_zeros((1, size)), observed)
    inverse = observation.infer(p, channels, size) - observation.infer(p, x.new_zeros((1, observed)), size)
    return read.mT @ cell.jacobian(p, observation.infer(p, x, size)) @ inverse.mT
