"""Linear stochastic twins of a series."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from chaos_core.errors import Inconsistent
from chaos_core.series import Series
from chaos_core.systems.base import Meter, Nature, Seed, System
from chaos_core.systems.flows import Lorenz63
from chaos_core.typing import Floats

if TYPE_CHECKING:
    AnySource = System

__all__ = ["Surrogate", "surrogate"]

ROUNDS = 100
"""A hundred alternations bring the spectrum within some per cent."""

NUMBERS_PER_UNIT = 10
"""Numbers that one round handles in the time of one evaluation of a flow."""


def surrogate(series: Series, *, rounds: int = ROUNDS, seed: int = 0) -> Series:
    """The same values and nearly the same spectrum as a scalar series, in no other order.

    Args:
        series: of one channel without gaps; of more, the first is taken.
        rounds: alternations between spectrum and values.
        seed: of the first shuffle.

    Source: T. Schreiber, A. Schmitz (1996), Improved surrogate data for nonlinearity tests,
        doi:10.1103/PhysRevLett.77.635.
    """
    return Series(_twin(series.x[:, 0], rounds, seed), series.dt, names=series.names[:1])


def _twin(x: Floats, rounds: int, seed: int) -> Floats:
    values, amplitude = np.sort(x), np.abs(np.fft.rfft(x))
    y = np.random.default_rng(seed).permutation(x)
    for _ in range(rounds):
        y = np.fft.irfft(amplitude * np.exp(1j * np.angle(np.fft.rfft(y))), len(x))
        y = values[np.argsort(np.argsort(y))]
    return y


class Surrogate(System, frozen=True):
    """One channel of another system with all but its values and its spectrum destroyed (IAAFT).

    Alternates between the spectrum of the channel and its values, from a shuffle on; what chaos leaves in higher
    correlations is gone, so that an analysis must not call it chaotic.

    Source: T. Schreiber, A. Schmitz (1996), doi:10.1103/PhysRevLett.77.635.
    """

    equation: ClassVar[str] = "the values of one channel of `of` in a random order with nearly its power spectrum"
    citation: ClassVar[str] = (
        "Schreiber, Schmitz (1996), Improved surrogate data for nonlinearity tests, doi:10.1103/PhysRevLett.77.635"
    )
    nature: ClassVar[Nature] = "stochastic"
    lambda_max: ClassVar[float | None] = None
    lambda_source: ClassVar[str] = "noise has no exponent"

    kind: Literal["surrogate"] = "surrogate"
    of: AnySource = Field(Lorenz63(dt=0.04), description="The system whose twin it is; any but a surrogate.")
    channel: str | None = Field(None, description="The channel of `of` to take, by name; the first if left out.")
    rounds: int = Field(ROUNDS, ge=1, le=10_000, description="Alternations between spectrum and values.")
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The channel's name."""
        return (self.channel if self.channel is not None else self.of.names[0],)

    @property
    def sampling_step(self) -> float:
        """That of `of`."""
        return self.of.sampling_step

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""
        name = self.names[0]
        if name not in self.of.names:
            raise Inconsistent(f"`of` has no channel '{name}'; it has {', '.join(self.of.names)}", channel=name)
        meter.charge(self.rounds * steps // NUMBERS_PER_UNIT)
        x = self.of.rows(steps, meter).reshape(steps, -1)[:, self.of.names.index(name)]
        return _twin(x, self.rounds, self.seed) if np.isfinite(x).all() else x
