"""Generalized teacher forcing whose strength follows the cell's Jacobians."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field, PositiveInt

from chaos_core.auto import chosen
from chaos_core.cells.base import Cell
from chaos_core.errors import Inconsistent
from chaos_core.forcing.base import Forcing, Slopes
from chaos_core.typing import Floats

__all__ = ["AdaptiveGeneralized", "spectral_norms"]

Estimate = Literal[
    "product_upper_bound", "arithmetic_mean", "batch_maximum", "explog_approximation", "jacobian_upper_bound"
]
Complexes: TypeAlias = npt.NDArray[Any]

TOLERANCE = 1e-4
MOST_ROUNDS = 100
LEAST_EIGENVALUE = 1e-12


class AdaptiveGeneralized(Forcing, frozen=True):
    """alpha = 1 - 1 / norm of the Jacobians along the data: products of (1 - alpha) J_t then neither grow nor die.

    Every `every` batches a norm n is estimated on the batch at hand, a = max(0, 1 - 1 / n), and alpha rises to a at
    once or falls slowly: alpha <- a if a > alpha, else decay alpha + (1 - decay) a. The norm n, over the batch's
    sequences b of the Jacobians J_bt at the states inferred from the data, `estimate`:

    product_upper_bound: max_b of the geometric mean over t of |J_bt|;  arithmetic_mean: max_b |mean_t J_bt|;
    batch_maximum: max_bt |J_bt|;  explog_approximation: max_b |exp(mean_t log J_bt)|, matrix functions;
    jacobian_upper_bound: a bound from the parameters alone, such as max |A| + |W1| |W2|. |.| is the 2-norm.

    Source: Hess, Monfared, Brenner, Durstewitz (2023), Generalized teacher forcing for learning chaotic dynamics,
        ICML, arXiv:2306.04406, section 3.3 and its code.
    Differs: 2-norms by power iteration in place of a singular value decomposition of each Jacobian.
    """

    citation: ClassVar[str] = (
        "Hess, Monfared, Brenner, Durstewitz (2023), Generalized teacher forcing for learning chaotic dynamics, "
        "arXiv:2306.04406"
    )

    kind: Literal["adaptive_generalized"] = "adaptive_generalized"
    alpha: float = Field(1.0, ge=0.0, le=1.0, description="Share of the data in the state at the first batch.")
    estimate: Estimate = Field("product_upper_bound", description="How the norm of the Jacobians is estimated.")
    decay: float = Field(0.999, ge=0.0, le=1.0, description="How slowly alpha falls: its weight beside the new value.")
    every: PositiveInt = Field(5, description="Batches between two estimates.")

    def own_mask(self, steps: int, latent: int, observed: int, progress: float, rng: np.random.Generator) -> Floats:
        """The present alpha everywhere."""
        del observed, progress, rng
        return np.full((steps, latent), self.alpha)

    @property
    def replaces_all(self) -> bool:
        """False: alpha changes."""
        return False

    def check(self, cell: Cell) -> None:
        """The estimate jacobian_upper_bound wants a cell that knows such a bound."""
        super().check(cell)
        if self.estimate == "jacobian_upper_bound" and type(cell).slope_bound is Cell.slope_bound:
            kind = getattr(cell, "kind", "")
            detail = f"no bound of the Jacobian is known for the cell {kind}; choose another estimate"
            raise Inconsistent(detail, cell=kind)

    def interval(self, progress: float) -> None:
        """None: every step is forced."""
        del progress

    def after_batch(self, update: int, slopes: Slopes) -> Self:
        """With a new alpha at every `every`-th update; parameters that are not finite leave it as it is."""
        if update % self.every:
            return self
        norm = slopes.bound() if self.estimate == "jacobian_upper_bound" else along(slopes.jacobians(), self.estimate)
        if not np.isfinite(norm):
            return self
        wanted = max(0.0, 1 - 1 / max(norm, LEAST_EIGENVALUE))
        alpha = wanted if wanted > self.alpha else self.decay * self.alpha + (1 - self.decay) * wanted
        return self.model_copy(update={"alpha": float(alpha)})

    @classmethod
    def fill(cls, partial: dict[str, Any], *, tau: int) -> Self:
        """The settings of the source: alpha starts at 1, estimated by product_upper_bound every 5 batches."""
        del tau
        return cls(**chosen(partial))


def along(jacobians: Floats, estimate: Estimate) -> float:
    """The norm n of `AdaptiveGeneralized` for Jacobians (B, T, M, M); nan where one is not finite."""
    if not np.isfinite(jacobians).all():
        return float("nan")
    if estimate == "arithmetic_mean":
        return float(spectral_norms(jacobians.mean(axis=1)).max())
    if estimate == "explog_approximation":
        means = _exponentials(_logarithms(jacobians).mean(axis=1))
        return float(np.linalg.norm(means, ord=2, axis=(-2, -1)).max())
    norms = spectral_norms(jacobians)
    if estimate == "batch_maximum":
        return float(norms.max())
    return float(np.exp(np.log(np.maximum(norms, LEAST_EIGENVALUE)).mean(axis=1)).max())


def spectral_norms(matrices: Floats) -> Floats:
    """2-norms of (..., M, M) matrices by power iteration on J'J, all side by side, to a relative 1e-4.

    The start vector is fixed, so that the same matrices give the same norms. From below: where the two largest
    singular values lie close together the iteration may stop within that tolerance of the larger.
    """
    v = np.random.default_rng(0).standard_normal(matrices.shape[:-1])
    norms = np.zeros(matrices.shape[:-2])
    for _ in range(MOST_ROUNDS):
        v /= np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), LEAST_EIGENVALUE)
        image = (matrices @ v[..., None])[..., 0]
        before, norms = norms, np.linalg.norm(image, axis=-1)
        if (np.abs(norms - before) <= TOLERANCE * norms).all():
            break
        v = (np.swapaxes(matrices, -1, -2) @ image[..., None])[..., 0]
    return norms


def _logarithms(matrices: Floats) -> Complexes:
    """Principal matrix logarithms by eigenvectors; eigenvalues below 1e-12 count as that."""
    values, vectors = np.linalg.eig(matrices)
    small = np.abs(values) < LEAST_EIGENVALUE
    return _composed(vectors, np.log(np.where(small, LEAST_EIGENVALUE, values.astype(complex))))


def _exponentials(matrices: Complexes) -> Complexes:
    values, vectors = np.linalg.eig(matrices)
    return _composed(vectors, np.exp(values))


def _composed(vectors: Complexes, values: Complexes) -> Complexes:
    whole: Complexes = (vectors * values[..., None, :]) @ np.linalg.inv(vectors)
    return whole
