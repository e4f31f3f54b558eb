"""Chaotic maps with exponents known exactly or published; one row is one application, dt = 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from chaos_core.series import Series
from chaos_core.systems.base import SPROTT, Meter, Nature, Rows, Seed, System
from chaos_core.typing import Floats

__all__ = ["Henon", "Ikeda", "Logistic", "henon", "ikeda", "logistic"]


def _orbit(
    step: Callable[[float, float], tuple[float, float]], x: float, y: float, transient: int, steps: int, meter: Meter
) -> Floats:
    meter.charge(transient + steps)
    rows = []
    for _ in range(transient + steps):
        rows.append((x, y))
        x, y = step(x, y)
    return np.array(rows[transient:])


class Logistic(System, frozen=True):
    """The logistic map x <- r x (1 - x), from a start drawn from 0.1 to 0.4.

    Source: R. M. May (1976), doi:10.1038/261459a0; exponent ln 2 at r = 4 by conjugacy with the tent map (S. Ulam,
        J. von Neumann 1947).
    """

    equation: ClassVar[str] = "x <- r x (1 - x)"
    citation: ClassVar[str] = (
        "May (1976), Simple mathematical models with very complicated dynamics, doi:10.1038/261459a0"
    )
    nature: ClassVar[Nature] = "chaotic"
    lambda_max: ClassVar[float | None] = math.log(2)
    lambda_source: ClassVar[str] = "exact: ln 2, by conjugacy with the tent map (Ulam, von Neumann 1947)"
    spectrum: ClassVar[tuple[float, ...] | None] = (math.log(2),)

    kind: Literal["logistic"] = "logistic"
    r: float = Field(4.0, description="Growth; 4 gives fully developed chaos, 3.2 a cycle of two.")
    transient: Rows = 1000
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """x."""
        return ("x",)

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""
        r = self.r
        start = float(np.random.default_rng(self.seed).uniform(0.1, 0.4))
        return _orbit(lambda x, y: (r * x * (1 - x), y), start, 0.0, self.transient, steps, meter)[:, :1]


class Henon(System, frozen=True):
    """Henon's map x <- 1 - a x^2 + y, y <- b x, from a start drawn near the origin.

    Source: M. Henon (1976), doi:10.1007/BF01608556; exponents: Sprott (2003). Their sum is ln |b|, exactly.
    """

    equation: ClassVar[str] = "x <- 1 - a x^2 + y, y <- b x"
    citation: ClassVar[str] = "Henon (1976), A two-dimensional mapping with a strange attractor, doi:10.1007/BF01608556"
    nature: ClassVar[Nature] = "chaotic"
    lambda_max: ClassVar[float | None] = 0.4192
    lambda_source: ClassVar[str] = SPROTT
    spectrum: ClassVar[tuple[float, ...] | None] = (0.4192, -1.6232)

    kind: Literal["henon"] = "henon"
    a: float = Field(1.4, description="Strength of the fold.")
    b: float = Field(0.3, description="Contraction of area, |det J|.")
    transient: Rows = 1000
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """x, y."""
        return ("x", "y")

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""
        a, b = self.a, self.b
        x, y = np.random.default_rng(self.seed).uniform(-0.1, 0.1, 2).tolist()
        return _orbit(lambda x, y: (1 - a * x * x + y, b * x), x, y, self.transient, steps, meter)


class Ikeda(System, frozen=True):
    """Light in a ring cavity: z <- 1 + u z exp(i (0.4 - 6 / (1 + |z|^2))), z = x + i y, from near the origin.

    Source: K. Ikeda (1979), doi:10.1016/0030-4018(79)90090-7; exponent: Sprott (2003).
    """

    equation: ClassVar[str] = "z <- 1 + u z exp(i (0.4 - 6 / (1 + |z|^2))), z = x + i y"
    citation: ClassVar[str] = (
        "Ikeda (1979), Multiple-valued stationary state and its instability of the transmitted light by a ring cavity "
        "system, doi:10.1016/0030-4018(79)90090-7"
    )
    nature: ClassVar[Nature] = "chaotic"
    lambda_max: ClassVar[float | None] = 0.507
    lambda_source: ClassVar[str] = SPROTT

    kind: Literal["ikeda"] = "ikeda"
    u: float = Field(0.9, description="Share of the field kept in each turn.")
    transient: Rows = 1000
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """x, y."""
        return ("x", "y")

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""
        u = self.u

        def step(x: float, y: float) -> tuple[float, float]:
            z = complex(x, y)
            angle = 0.4 - 6 / (1 + abs(z) ** 2)
            z = 1 + u * z * complex(np.cos(angle), np.sin(angle))
            return z.real, z.imag

        x, y = np.random.default_rng(self.seed).uniform(0.0, 0.2, 2).tolist()
        return _orbit(step, x, y, self.transient, steps, meter)


def logistic(steps: int, **settings: Any) -> Series:
    """`Logistic(...).generate(steps)`; settings are its fields."""
    return Logistic(**settings).generate(steps)


def henon(steps: int, **settings: Any) -> Series:
    """`Henon(...).generate(steps)`; settings are its fields."""
    return Henon(**settings).generate(steps)


def ikeda(steps: int, **settings: Any) -> Series:
    """`Ikeda(...).generate(steps)`; settings are its fields."""
    return Ikeda(**settings).generate(steps)
