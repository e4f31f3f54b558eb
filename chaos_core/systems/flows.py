"""Autonomous chaotic flows."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field as Setting

from chaos_core.series import Series
from chaos_core.systems.base import SPROTT, Meter, Nature, Seed, Step, System, Tolerance, Transient
from chaos_core.systems.integration import Field, State, integrate, solve
from chaos_core.typing import Floats

__all__ = ["Chua", "Field", "Lorenz63", "Lorenz96", "Rossler", "State", "integrate", "lorenz63", "rossler"]


class Lorenz63(System, frozen=True):
    """Lorenz's convection: x' = sigma (y - x), y' = x (rho - z) - y, z' = x y - beta z.

    One swing takes about 0.75 time units. The start is drawn near the attractor.

    Source: E. N. Lorenz (1963), doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2; exponents: Sprott (2003).
    Differs: integrated by fourth-order steps of at most 0.005, not by scipy, so that published figures that were
        made with these rows stay reproducible bit for bit.
    """

    equation: ClassVar[str] = "x' = sigma (y - x), y' = x (rho - z) - y, z' = x y - beta z"
    citation: ClassVar[str] = (
        "Lorenz (1963), Deterministic nonperiodic flow, doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2"
    )
    nature: ClassVar[Nature] = "chaotic"
    lambda_max: ClassVar[float | None] = 0.9056
    lambda_source: ClassVar[str] = SPROTT
    spectrum: ClassVar[tuple[float, ...] | None] = (0.9056, 0.0, -14.5723)

    kind: Literal["lorenz63"] = "lorenz63"
    sigma: float = Setting(10.0, description="Prandtl number.")
    rho: float = Setting(28.0, description="Rayleigh number over its critical value.")
    beta: float = Setting(8 / 3, description="Geometric factor.")
    dt: Step = 0.01
    transient: Transient = 30.0
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """x, y, z."""
        return ("x", "y", "z")

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""
        sigma, rho, beta = self.sigma, self.rho, self.beta

        def field(state: State) -> State:
            x, y, z = state
            return sigma * (y - x), x * (rho - z) - y, x * y - beta * z

        start = np.random.default_rng(self.seed).normal([1.0, 1.0, 20.0], 1.0)
        return integrate(field, tuple(start.tolist()), steps, self.dt, 0.005, self.transient, meter)


class Rossler(System, frozen=True):
    """Rossler's folded band: x' = -y - z, y' = x + a y, z' = b + z (x - c).

    One turn takes about 5.9 time units. The start is drawn near the attractor.

    Source: O. E. Rossler (1976), doi:10.1016/0375-9601(76)90101-8; exponents: Sprott (2003).
    Differs: integrated by fourth-order steps of at most 0.025, for the reason given at `Lorenz63`.
    """

    equation: ClassVar[str] = "x' = -y - z, y' = x + a y, z' = b + z (x - c)"
    citation: ClassVar[str] = "Rossler (1976), An equation for continuous chaos, doi:10.1016/0375-9601(76)90101-8"
    nature: ClassVar[Nature] = "chaotic"
    lambda_max: ClassVar[float | None] = 0.0714
    lambda_source: ClassVar[str] = SPROTT
    spectrum: ClassVar[tuple[float, ...] | None] = (0.0714, 0.0, -5.3943)

    kind: Literal["rossler"] = "rossler"
    a: float = Setting(0.2, description="Growth of the spiral.")
    b: float = Setting(0.2, description="Injection level.")
    c: float = Setting(5.7, description="Threshold of the fold.")
    dt: Step = 0.1
    transient: Transient = 300.0
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """x, y, z."""
        return ("x", "y", "z")

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""
        a, b, c = self.a, self.b, self.c

        def field(state: State) -> State:
            x, y, z = state
            return -y - z, x + a * y, b + z * (x - c)

        start = np.random.default_rng(self.seed).normal([-6.0, 0.0, 0.1], [0.5, 0.5, 0.01])
        return integrate(field, tuple(start.tolist()), steps, self.dt, 0.025, self.transient, meter)


class Lorenz96(System, frozen=True):
    """Weather on a ring of N sites: x_i' = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F, indices modulo N.

    N = 40 and F = 8 are Lorenz's own; his time unit is about five days, so that 0.05 is six hours. The start is
    every site at F with a normal disturbance.

    Source: E. N. Lorenz (1996), Predictability: a problem partly solved, Seminar on Predictability, ECMWF.
    """

    equation: ClassVar[str] = "x_i' = (x_{i+1} - x_{i-2}) x_{i-1} - x_i + F on a ring of N sites"
    citation: ClassVar[str] = "Lorenz (1996), Predictability: a problem partly solved, ECMWF Seminar on Predictability"
    nature: ClassVar[Nature] = "chaotic"
    lambda_max: ClassVar[float | None] = 1.67
    lambda_source: ClassVar[str] = (
        "small errors double in 2.1 days of 0.2 time units, which is 1.65, in E. N. Lorenz, K. A. Emanuel (1998), "
        "J. Atmos. Sci. 55, 399; "
        "1.69 (standard error 0.005) along 64 orbits of 270 time units computed for this table"
    )

    kind: Literal["lorenz96"] = "lorenz96"
    sites: int = Setting(40, ge=4, le=1024, description="N, sites on the ring.")
    forcing: float = Setting(8.0, description="F, the constant that drives all sites.")
    dt: Step = 0.05
    transient: Transient = 30.0
    tolerance: Tolerance = 1e-9
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """x0, x1, ..."""
        return tuple(f"x{i}" for i in range(self.sites))

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""

        def field(t: float, x: Floats) -> Floats:
            del t
            ring = np.concatenate([x[-2:], x, x[:1]])
            slope: Floats = (ring[3:] - ring[:-3]) * ring[1:-2] - x + self.forcing
            return slope

        start = self.forcing + np.random.default_rng(self.seed).standard_normal(self.sites)
        return solve(field, start, steps, self.dt, transient=self.transient, tolerance=self.tolerance, meter=meter)


class Chua(System, frozen=True):
    """Chua's circuit with its double scroll: x' = alpha (y - x - f(x)), y' = x - y + z, z' = -beta y.

    f(x) = m1 x + (m0 - m1) (|x + 1| - |x - 1|) / 2 is the current through a resistor of negative slope m0 inside
    and m1 outside of |x| = 1. The start is drawn near the origin.

    Source: T. Matsumoto (1984), A chaotic attractor from Chua's circuit, doi:10.1109/TCS.1984.1085459; exponents:
        Sprott (2003), who writes the same circuit with slopes counted from the line y = x.
    """

    equation: ClassVar[str] = (
        "x' = alpha (y - x - f(x)), y' = x - y + z, z' = -beta y, f(x) = m1 x + (m0 - m1) (|x + 1| - |x - 1|) / 2"
    )
    citation: ClassVar[str] = "Matsumoto (1984), A chaotic attractor from Chua's circuit, doi:10.1109/TCS.1984.1085459"
    nature: ClassVar[Nature] = "chaotic"
    lambda_max: ClassVar[float | None] = 0.3271
    lambda_source: ClassVar[str] = SPROTT
    spectrum: ClassVar[tuple[float, ...] | None] = (0.3271, 0.0, -2.5197)

    kind: Literal["chua"] = "chua"
    alpha: float = Setting(9.0, description="Ratio of the two capacitances.")
    beta: float = Setting(100 / 7, description="Scaled inverse inductance.")
    m0: float = Setting(-8 / 7, description="Inner slope of the resistor.")
    m1: float = Setting(-5 / 7, description="Outer slope of the resistor.")
    dt: Step = 0.05
    transient: Transient = 100.0
    tolerance: Tolerance = 1e-9
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """x, y, z."""
        return ("x", "y", "z")

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""
        alpha, beta, outer, bend = self.alpha, self.beta, self.m1, (self.m0 - self.m1) / 2

        def field(t: float, state: Floats) -> State:
            del t
            x, y, z = state.tolist()
            current = outer * x + bend * (abs(x + 1) - abs(x - 1))
            return alpha * (y - x - current), x - y + z, -beta * y

        start = np.random.default_rng(self.seed).normal([0.1, 0.0, 0.0], 0.02)
        return solve(field, start, steps, self.dt, transient=self.transient, tolerance=self.tolerance, meter=meter)


def lorenz63(steps: int, dt: float = 0.01, **settings: Any) -> Series:
    """`Lorenz63(dt=dt, ...).generate(steps)`; settings are its fields."""
    return Lorenz63(dt=dt, **settings).generate(steps)


def rossler(steps: int, dt: float = 0.1, **settings: Any) -> Series:
    """`Rossler(dt=dt, ...).generate(steps)`; settings are its fields."""
    return Rossler(dt=dt, **settings).generate(steps)
