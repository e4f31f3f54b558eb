"""What a cell is: the equations of one step, with the shapes of their parameters as data.

A cell holds settings only; its parameters are a plain dict that is passed along. Equations are written with tensor
methods (`z @ w.mT`, `z.relu()`) and never import torch: so the API validates, counts and shows cells without loading
it, and the same text runs on numpy (`chaos_core.arrays`). Steps are out of place, because `vmap` over jobs refuses
slice assignment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field

from chaos_core.auto import chosen
from chaos_core.typing import Map, NumpyParams, Param, Params, Tensor

__all__ = ["LARGEST_MEMORY", "MOST_INPUTS", "MOST_UNITS", "USUAL_SHARE", "Cell", "Param"]

MOST_UNITS = 4096
"""Largest number of latent or hidden units: a slip of the pen shall not ask for gigabytes."""

MOST_INPUTS = 256

USUAL_LATENT = 30
USUAL_SHARE = 1 / 3

LARGEST_MEMORY = 0.9999
"""Bound on |A| of a bounded cell: a memory of ten thousand steps, longer than any window."""


class Cell(BaseModel, ABC, frozen=True, extra="forbid"):
    """Abstract: the settings of a recurrent map z -> F(z) and the map itself.

    A final class adds `kind: Literal[...]`, its own settings, and the three abstract methods. External inputs u_t
    enter every cell as C u_t beside its bias.
    """

    equation: ClassVar[str]
    """The step in one line of plain text, as a reader of the saved file needs it."""
    bias: ClassVar[str] = "h"
    """The parameter beside which the drive C u_t is added."""
    citation: ClassVar[str]
    """Authors, year, title, DOI or arXiv number."""
    suggested_losses: ClassVar[tuple[str, ...]] = ()
    """Kinds of the terms that `plan()` adds where the channels are the cell's whole state and lambda_max is known."""

    latent: int = Field(ge=1, le=MOST_UNITS, description="M, the number of latent units.")
    inputs: int = Field(0, ge=0, le=MOST_INPUTS, description="K, the number of external inputs.")

    @property
    def state_size(self) -> int:
        """Numbers in the state z; `latent` unless a cell keeps a memory beside the units that are read out."""
        return self.latent

    @property
    def drive_width(self) -> int:
        """Rows of C: the drive C u_t is added where the cell has its bias."""
        return self.latent

    @abstractmethod
    def weights(self) -> dict[str, Param]:
        """Shapes and initialisers of the autonomous equations, by name."""

    def parameters(self) -> dict[str, Param]:
        """All shapes and initialisers by name; this order is the order of the flat parameter vector.

        With external inputs C (drive_width, K) comes last. It starts with the variance 2 / (rows + columns) of Glorot
        and Bengio (2010), as in the code of Hess et al. (2023).
        """
        if not self.inputs:
            return self.weights()
        width = (6 / (self.drive_width + self.inputs)) ** 0.5
        return self.weights() | {"C": Param((self.drive_width, self.inputs), "uniform", width)}

    def written(self) -> str:
        """The equation, and where external inputs enter it."""
        return f"{self.equation}; C @ u is added to {self.bias}" if self.inputs else self.equation

    def limits(self) -> dict[str, float]:
        """Parameters that training keeps within [-limit, limit], by name; empty unless a cell enforces something."""
        return {}

    def bound(self, p: NumpyParams) -> float | None:
        """A number below which |z_i| of every undriven orbit falls and stays, where one is proven, else None."""
        del p
        return None

    def slope_bound(self, p: NumpyParams) -> float | None:
        """A number that the 2-norm of the Jacobian exceeds nowhere, where one is written down; None where not."""
        del p
        return None

    @abstractmethod
    def bind(self, p: Params) -> Map:
        """The step with its parameters fixed: returns (z, s) -> F(z), on z (..., M) and a drive s or None.

        What does not depend on z (transposes, zero diagonals) is done here, once for a whole run. `p` may hold more
        names than the cell's own. With a leading axis of jobs on every parameter use `vmap`.
        """

    @abstractmethod
    def jacobian(self, p: Params, z: Tensor, s: Tensor | None = None) -> Tensor:
        """dF/dz at z: (..., M) -> (..., M, M), entry [i, j] being dF_i / dz_j; `s` as for the step.

        At a kink the derivative of max(0, x) counts as 1 for x > 0 and as 0 at x = 0, which is also torch's choice.
        """

    @classmethod
    def fill(cls, partial: dict[str, Any], *, observed: int, embedded: bool) -> Self:
        """The settings with a value for each field that is absent or "auto"; what the client gave always wins.

        Unless a cell says otherwise 30 latent units, as Mikhaeil et al. (2022) took for all their systems, or one for
        each channel where there are more: with fewer units than channels the observation could not be inverted and
        forcing would lose information.

        Args:
            partial: the client's words.
            observed: channels that the cell sees, N or N times the embedding dimension.
            embedded: whether those channels are a delay embedding.
        """
        del embedded
        return cls(**({"latent": max(USUAL_LATENT, observed)} | chosen(partial)))

    @classmethod
    def suggested_tau(cls, predictability_time: float) -> int:
        """The forcing interval, steps, up to which annealed forcing trains the cell best.

        A third of ln 2 / lambda_max, unless the cell measured something else (`docs/interval.md`).

        Args:
            predictability_time: ln 2 / lambda_max, steps.
        """
        return max(1, round(USUAL_SHARE * predictability_time))

    def step(self, p: Params, z: Tensor, s: Tensor | None = None) -> Tensor:
        """One step, z_{t+1} = F(z_t): (..., M) -> (..., M). The same as `bind(p)(z, s)`; for loops bind once."""
        return self.bind(p)(z, s)

    def drive(self, p: Params, u: Tensor) -> Tensor:
        """C u: external inputs (..., K) to what the step adds to its bias, (..., drive_width)."""
        return u @ p["C"].mT

    def parameter_count(self) -> int:
        """How many numbers are trained in the cell itself, without those of the observation."""
        return sum(param.size for param in self.parameters().values())
