"""A chaotic oscillator under a known force."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from chaos_core.systems.base import SPROTT, Meter, Nature, Seed, Step, System, Tolerance, Transient
from chaos_core.systems.integration import State, solve
from chaos_core.typing import Floats

__all__ = ["Duffing"]


class Duffing(System, frozen=True):
    """Duffing's oscillator: x'' + delta x' + alpha x + beta x^3 = gamma cos(omega t), with v = x'.

    At the default parameters a ball in a double well that the force throws to and fro; the force turns once in
    6.28 time units. The rows are (x, v), row 0 at t = 0; with the phase of the force they are the whole state. The
    start is drawn around the origin.

    Source: G. Duffing (1918), Erzwungene Schwingungen bei veraenderlicher Eigenfrequenz, Vieweg; exponents at the
        default parameters: Sprott (2003), who lets a sine drive it, which only shifts time.
    """

    equation: ClassVar[str] = "x' = v, v' = -delta v - alpha x - beta x^3 + gamma cos(omega t)"
    citation: ClassVar[str] = "Duffing (1918), Erzwungene Schwingungen bei veraenderlicher Eigenfrequenz, Vieweg"
    nature: ClassVar[Nature] = "chaotic"
    lambda_max: ClassVar[float | None] = 0.1571
    lambda_source: ClassVar[str] = SPROTT
    spectrum: ClassVar[tuple[float, ...] | None] = (0.1571, 0.0, -0.4071)

    kind: Literal["duffing"] = "duffing"
    alpha: float = Field(-1.0, description="Linear stiffness; below 0 there are two wells.")
    beta: float = Field(1.0, description="Cubic stiffness.")
    delta: float = Field(0.25, description="Damping.")
    gamma: float = Field(0.4, description="Strength of the force.")
    omega: float = Field(1.0, description="Frequency of the force, radians per time unit.")
    force_known: bool = Field(False, description="Give the force along, as the external input `force` of the series.")
    dt: Step = 0.1
    transient: Transient = 200.0
    tolerance: Tolerance = 1e-9
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """x, v."""
        return ("x", "v")

    @property
    def input_names(self) -> tuple[str, ...]:
        """force, where it is known."""
        return ("force",) if self.force_known else ()

    def drive(self, steps: int) -> Floats:
        """The force in the middle of the step that leads to each row, (steps, 1), whether it is given along or not.

        That is gamma cos(omega (t - dt / 2)): held for the whole step it changes v by the true amount but for terms
        of dt cubed.
        """
        force: Floats = self.gamma * np.cos(self.omega * self.dt * (np.arange(steps) - 0.5))[:, None]
        return force

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""

        def field(t: float, state: Floats) -> State:
            x, v = state.tolist()
            force = self.gamma * np.cos(self.omega * t)
            return v, force - self.delta * v - self.alpha * x - self.beta * x * x * x

        start = np.random.default_rng(self.seed).normal(0.0, 0.5, 2)
        return solve(field, start, steps, self.dt, transient=self.transient, tolerance=self.tolerance, meter=meter)
