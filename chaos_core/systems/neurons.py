"""A neuron that fires in bursts."""

from __future__ import annotations

from math import exp
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from chaos_core.systems.base import Meter, Nature, Seed, Step, System, Tolerance, Transient
from chaos_core.systems.integration import State, solve
from chaos_core.typing import Floats

__all__ = ["BurstingNeuron"]

LEAK_MV, SODIUM_MV, POTASSIUM_MV, NMDA_MV = -80.0, 60.0, -90.0, 0.0
"""Reversal potentials."""


def _open(v: float, half_mv: float, slope_mv: float) -> float:
    """The share of gates that are open in the end: 1/2 at `half_mv`, steeper with a smaller slope."""
    return 1 / (1 + exp((half_mv - v) / slope_mv))


class BurstingNeuron(System, frozen=True):
    """Membrane voltage V (mV), fast potassium gate n and slow potassium gate h; time in ms.

    C V' = I - g_leak (V + 80) - g_na m(V) (V - 60) - (g_k n + g_m h) (V + 90) - g_nmda s(V) V,
    n' = (n_end(V) - n) / n_time, h' = (h_end(V) - h) / h_time, where m, n_end and h_end are logistic in V with halves
    at -20, -25, -15 mV and slopes of 15, 5, 5 mV, and s(V) = 1 / (1 + 0.33 exp(-0.0625 V)) is the magnesium block.
    With growing g_nmda the neuron rests (at 1), fires bursts that grow from 2 spikes (at 3) to 15 (at 10.2, the
    default), and then fires steadily (at 10.5). From about 9.3 to 10 bursts and steady firing exist side by side, and
    the seed decides. All these are cycles; we met no chaos at the eleven values that we tried. The start is drawn
    around (-24.5, 0.0039, 0.0231).

    Source: D. Durstewitz (2009), Implications of synaptic biophysics for recurrent network dynamics and active
        memory, Neural Networks 22, 1189, doi:10.1016/j.neunet.2009.07.016; with these values as a benchmark in
        D. Schmidt, G. Koppe, Z. Monfared, M. Beutelspacher, D. Durstewitz (2021), arXiv:1910.03471.
    Differs: the equations were checked against two published implementations, not against the papers' own text.
    """

    equation: ClassVar[str] = (
        "C V' = I - g_leak (V + 80) - g_na m(V) (V - 60) - (g_k n + g_m h) (V + 90) - g_nmda s(V) V, "
        "n' = (n_end(V) - n) / n_time, h' = (h_end(V) - h) / h_time"
    )
    citation: ClassVar[str] = (
        "Durstewitz (2009), Implications of synaptic biophysics for recurrent network dynamics and active memory, "
        "doi:10.1016/j.neunet.2009.07.016"
    )
    nature: ClassVar[Nature] = "periodic"
    lambda_max: ClassVar[float | None] = 0.0
    lambda_source: ClassVar[str] = "exact for a cycle"

    kind: Literal["bursting_neuron"] = "bursting_neuron"
    current: float = Field(0.0, description="Injected current I.")
    capacitance: float = Field(6.0, gt=0, description="C of the membrane.")
    g_leak: float = Field(8.0, description="Conductance of the leak.")
    g_na: float = Field(20.0, description="Conductance of persistent sodium.")
    g_k: float = Field(10.0, description="Conductance of fast potassium.")
    g_m: float = Field(25.0, description="Conductance of slow potassium.")
    g_nmda: float = Field(10.2, description="Conductance of NMDA channels, the bifurcation parameter.")
    n_time: float = Field(1.0, gt=0, description="Time constant of n, ms.")
    h_time: float = Field(200.0, gt=0, description="Time constant of h, ms.")
    dt: Step = 0.5
    transient: Transient = 1000.0
    tolerance: Tolerance = 1e-9
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        """V, n, h."""
        return ("V", "n", "h")

    def rows(self, steps: int, meter: Meter) -> Floats:
        """See `System.rows`."""

        def field(t: float, state: Floats) -> State:
            del t
            v, n, h = state.tolist()
            leak = self.g_leak * (v - LEAK_MV) + self.g_na * _open(v, -20.0, 15.0) * (v - SODIUM_MV)
            potassium = (self.g_k * n + self.g_m * h) * (v - POTASSIUM_MV)
            nmda = self.g_nmda / (1 + 0.33 * exp(-0.0625 * v)) * (v - NMDA_MV)
            return (
                (self.current - leak - potassium - nmda) / self.capacitance,
                (_open(v, -25.0, 5.0) - n) / self.n_time,
                (_open(v, -15.0, 5.0) - h) / self.h_time,
            )

        start = np.random.default_rng(self.seed).normal([-24.5, 0.0039, 0.0231], [1.0, 0.0005, 0.003])
        return solve(field, start, steps, self.dt, transient=self.transient, tolerance=self.tolerance, meter=meter)
