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
    "AffineObservation",
    "AnyObservation",
    "IdentityObservation",
    "LinearObservation",
    "Observation",
    "fill",
]


class Observation(BaseModel, ABC, frozen=True, extra="forbid"):
    """Abstract: the read-out x = G(z) and its inverse.

    `latent` below is `Cell.latent`, the units that are read out; a state may hold further numbers after them (the
    memory of an LSTM), which no observation sees and which `infer` sets to zero.
    """

    equation: ClassVar[str]

    @abstractmethod
    def parameters(self, latent: int, observed: int) -> dict[str, Param]:
        """Shapes and initialisers for M = `latent` and N = `observed`; raises Inconsistent where these cannot go."""

    @abstractmethod
    def predict(self, p: Params, z: Tensor, observed: int) -> Tensor:
        """x = G(z): (..., M) -> (..., N), N = `observed`."""

    @abstractmethod
    def infer(self, p: Params, x: Tensor, state_size: int) -> Tensor:
        """The state d for a measured x: (..., N) -> (..., `Cell.state_size`). Gradients flow through it."""


class IdentityObservation(Observation, frozen=True):
    """x is the first N units of z.

    With M = N the state is the observation, and there are no parameters. With M > N the other units are hidden, and
    `hidden_start` says what `infer` gives them: "learned" a linear function L x of the observation, L (M - N, N),
    "zeros" nothing.

    Source: Brenner, Hess, Mikhaeil, Bereska, Monfared, Kuo, Durstewitz (2022), ICML, arXiv:2207.02542 (L).
    """

    equation: ClassVar[str] = "x = z[:N]; a start has z[N:] = L @ x, or zeros without L"
    kind: Literal["identity"] = "identity"
    hidden_start: Literal["learned", "zeros"] = Field(
        "learned", description="Where units that are not read out start: at L x with a trained L, or at zero."
    )

    def parameters(self, latent: int, observed: int) -> dict[str, Param]:
        """L, uniform in +-1/sqrt(N), where units are hidden; raises Inconsistent for fewer units than channels."""
        if latent < observed:
            raise Inconsistent(
                f"the identity observation reads {observed} channels off {latent} latent units",
                latent=latent,
                channels=observed,
            )
        if latent == observed or self.hidden_start == "zeros":
            return {}
        return {"L": Param((latent - observed, observed), "uniform", observed**-0.5)}

    def predict(self, p: Params, z: Tensor, observed: int) -> Tensor:
        """z[..., :N]."""
        del p
        return z[..., :observed]

    def infer(self, p: Params, x: Tensor, state_size: int) -> Tensor:
        """(x, L x, 0, ..., 0), or (x, 0, ..., 0)."""
        known = concat([x, x @ p["L"].mT]) if "L" in p else x
        return _filled_up(known, state_size)


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
        return z[..., : p["B"].shape[-1]] @ p["B"].mT

    def infer(self, p: Params, x: Tensor, state_size: int) -> Tensor:
        """pinv(B) x. The gradient also reaches B through the inverse, as in the authors' code.

        A B with non-finite entries has no inverse, and torch raises LinAlgError for it: check parameters first.
        """
        return _filled_up(x @ p["B"].pinverse().mT, state_size)


class AffineObservation(Observation, frozen=True):
    """x = B z + b with a trained matrix B (N, M) and a trained bias b (N); d = pinv(B) (x - b).

    Source: Hess, Monfared, Brenner, Durstewitz (2023), ICML, arXiv:2306.04406.
    Differs: their code calls it affine and leaves the bias out by default, which is `linear` here with other start
        values; gradients flow through the inverse, where their code keeps it out of the tape after the first step.
    """

    equation: ClassVar[str] = "x = B @ z + b_x"
    kind: Literal["affine"] = "affine"

    def parameters(self, latent: int, observed: int) -> dict[str, Param]:
        """B normal with variance 2 / M (He et al. 2015, as in the source), b zero."""
        return {"B": Param((observed, latent), "normal", (2 / latent) ** 0.5), "b_x": Param((observed,), "zeros")}

    def predict(self, p: Params, z: Tensor, observed: int) -> Tensor:
        """B z + b."""
        del observed
        return z[..., : p["B"].shape[-1]] @ p["B"].mT + p["b_x"]

    def infer(self, p: Params, x: Tensor, state_size: int) -> Tensor:
        """pinv(B) (x - b)."""
        return _filled_up((x - p["b_x"]) @ p["B"].pinverse().mT, state_size)


def _filled_up(z: Tensor, state_size: int) -> Tensor:
    """Zeros behind the last axis up to the size of the state."""
    rest = state_size - z.shape[-1]
    return z if rest == 0 else concat([z, z.new_zeros((*z.shape[:-1], rest))])


OBSERVATIONS: dict[str, type[Observation]] = {
    "affine": AffineObservation,
    "identity": IdentityObservation,
    "linear": LinearObservation,
}

if TYPE_CHECKING:
    AnyObservation: TypeAlias = Observation
else:
    AnyObservation = Annotated[AffineObservation | IdentityObservation | LinearObservation, Field(discriminator="kind")]


def fill(observation: Observation | Literal["auto"], *, latent: int, observed: int) -> Observation:
    """The observation for "auto": identity where M = N, else linear. What the client gave stays, if it can be.

    Raises:
        Inconsistent: the identity was asked for with fewer units than channels.
    """
    if observation == "auto":
        return IdentityObservation() if latent == observed else LinearObservation()
    observation.parameters(latent, observed)
    return observation
