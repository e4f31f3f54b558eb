"""A scalar equation with a delay: infinitely many dimensions behind one observed number."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from chaos_core.systems.base import Meter, Nature, Seed, Step, System, Transient
from chaos_core.systems.integration import solve_delayed
from chaos_core.typing import Floats

__all__ = ["MackeyGlass"]


class MackeyGlass(System, frozen=True):
    """Blood cells whose making answers late: x'(t) = beta x(t - delay) / (1 + x(t - delay)^n) - gamma x(t).

    One turn takes about 50 time units. With gamma = 0.1, beta = 0.2, n = 10 there are cycles up to a delay of 16.8,
    then chaos. The start is a constant past drawn from 0.9 to 1.3.

    Source: M. C. Mackey, L. Glass (1977), doi:10.1126/science.267326; dimension and exponents as functions of the
        delay: J. D. Farmer (1982), doi:10.1016/0167-2789(82)90042-2.
    """

    equation: ClassVar[str] = "x'(t) = beta x(t - delay) / (1 + x(t - delay)^n) - gamma x(t)"
    citation: ClassVar[str] = (
        "Mackey, Glass (1977), Oscillation and chaos in physiological control systems, doi:10.1126/science.267326"
    )
    nature: ClassVar[Nature] = "chaotic"
    lambda_max: ClassVar[float | None] = 0.0052
    lambda_source: ClassVar[str] = (
        "tangent vectors along 48 orbits of 20 000 time units computed for this table, 0.00516 (standard error "
        "0.00003) at steps of 0.05 and of 0.1; in print about 0.007 (Farmer 1982)"
    )

    kind: Literal["mackey_glass"] = "mackey_glass"
    beta: float = Field(0.2, description="Strength of the answer.")
    gamma: float = Field(0.1, description="Decay.")
    n: float = Field(10.0, gt=0, description="Steepness of the answer.")
    delay: float = Field(17.0, gt=0, description="Delay of the answer, time units.")
    h_max: float = Field(0.1, gt=0, description="Largest integration step, time units.")
    dt: Step = 1.0
    transient: Transient = 1000.0
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """x."""
        return ("x",)

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`; |x|^n stands for x^n, which parameters that make x negative would not allow."""
        beta, gamma, n = self.beta, self.gamma, self.n

        def rate(x: float, before: float) -> float:
            return float(beta * before / (1.0 + abs(before) ** n) - gamma * x)

        past = float(np.random.default_rng(self.seed).uniform(0.9, 1.3))
        return solve_delayed(
            rate, past, self.delay, steps, self.dt, h_max=self.h_max, transient=self.transient, meter=meter
        )
