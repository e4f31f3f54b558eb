"""How observed channels x (..., N) and latent states z (..., M) belong together.

`predict` reads x off z; `infer` gives the latent state d that stands for a measured x, which is what forcing puts in
the place of z. Settings only: parameters are passed along, as for cells, and the same text runs on torch and numpy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, Field

from chaos_core.arrays import concat
from chaos_core.errors import Inconsistent
from chaos_core.typing import Param, Params, Tensor

__all__ = [
    "OBSERVATIONS",
    "AnyObservation",
    "IdentityObservation",
    "LinearObservation",
    "Observation",
    "fill",
]


class Observation(BaseModel, ABC, frozen=True, extra="forbid"):
    """Abstract: the read-out x = G(z) and its inverse."""

    equation: ClassVar[str]

    @abstractmethod
    def parameters(self, latent: int, observed: int) -> dict[str, Param]:
        """Shapes and initialisers for M = `latent` and N = `observed`; raises Inconsistent where these cannot go."""

    @abstractmethod
    def predict(self, p: Params, z: Tensor, observed: int) -> Tensor:
        """x = G(z): (..., M) -> (..., N), N = `observed`."""

    @abstractmethod
    def infer(self, p: Params, x: Tensor, latent: int) -> Tensor:
        """The latent state d for a measured x: (..., N) -> (..., M), M = `latent`. Gradients flow through it."""


class IdentityObservation(Observation, frozen=True):
    """x is the first N units of z. Has no parameters.

    With M = N the state is the observation. With M > N the other units are hidden: `infer` sets them to zero.

    Differs: Brenner et al. (2022) learn the hidden units' start from x by a matrix; zero needs no parameter and only
        matters for the first steps of a sequence.
    """

    equation: ClassVar[str] = "x = z[:N]"
    kind: Literal["identity"] = "identity"

    def parameters(self, latent: int, observed: int) -> dict[str, Param]:
        """None; raises Inconsistent for fewer units than channels."""
        if latent < observed:
            raise Inconsistent(
                f"the identity observation reads {observed} channels off {latent} latent units",
                latent=latent,
                channels=observed,
            )
        return {}

    def predict(self, p: Params, z: Tensor, observed: int) -> Tensor:
        """z[..., :N]."""
        del p
        return z[..., :observed]

    def infer(self, p: Params, x: Tensor, latent: int) -> Tensor:
        """(x, 0, ..., 0)."""
        del p
        hidden = latent - x.shape[-1]
        return x if hidden == 0 else concat([x, x.new_zeros((*x.shape[:-1], hidden))])


class LinearObservation(Observation, frozen=True):
    """x = B z with a trained matrix B (N, M) without bias; d = pinv(B) x.

    For M > N the inverse is the state of smallest norm among all that give x; for M < N it is the best fit.

    Source: Mikhaeil, Monfared, Durstewitz (2022), NeurIPS (sparse teacher forcing by inversion),
        arXiv:2110.07238.
    """

    equation: ClassVar[str] = "x = B @ z"
    kind: Literal["linear"] = "linear"

    def parameters(self, latent: int, observed: int) -> dict[str, Param]:
        """B, uniform in +-1/sqrt(M)."""
        return {"B": Param((observed, latent), "uniform", latent**-0.5)}

    def predict(self, p: Params, z: Tensor, observed: int) -> Tensor:
        """B z."""
        del observed
        return z @ p["B"].mT

    def infer(self, p: Params, x: Tensor, latent: int) -> Tensor:
        """pinv(B) x. The gradient also reaches B through the inverse, as in the authors' code.

        A B with non-finite entries has no inverse, and torch raises LinAlgError for it: check parameters first.
        """
        del latent
        return x @ p["B"].pinverse().mT


OBSERVATIONS: dict[str, type[Observation]] = {"identity": IdentityObservation, "linear": LinearObservation}

if TYPE_CHECKING:
    AnyObservation: TypeAlias = Observation
else:
    AnyObservation = Annotated[IdentityObservation | LinearObservation, Field(discriminator="kind")]


def fill(observation: Observation | Literal["auto"], *, latent: int, observed: int) -> Observation:
    """The observation for "auto": identity where M = N, else linear. What the client gave stays, if it can be.

    Raises:
        Inconsistent: the identity was asked for with fewer units than channels.
    """
    if observation == "auto":
        return IdentityObservation() if latent == observed else LinearObservation()
    observation.parameters(latent, observed)
    return observation
