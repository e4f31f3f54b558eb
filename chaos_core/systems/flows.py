"""Chaotic flows with published exponents, integrated by the classical Runge-Kutta method in plain floats."""

import math
from collections.abc import Callable

import numpy as np

from chaos_core.series import Series

__all__ = ["integrate", "lorenz63", "rossler"]

State = tuple[float, ...]
Field = Callable[[State], State]


def _moved(state: State, slope: State, h: float) -> State:
    return tuple([s + h * k for s, k in zip(state, slope, strict=True)])


def _runge_kutta(field: Field, state: State, h: float) -> State:
    k1 = field(state)
    k2 = field(_moved(state, k1, h / 2))
    k3 = field(_moved(state, k2, h / 2))
    k4 = field(_moved(state, k3, h))
    slopes = zip(state, k1, k2, k3, k4, strict=True)
    return tuple([s + h / 6 * (a + 2 * b + 2 * c + d) for s, a, b, c, d in slopes])


def integrate(field: Field, start: State, steps: int, dt: float, h_max: float, burn_in: float) -> np.ndarray:
    """Samples a flow x' = field(x) at a fixed step.

    Args:
        field: maps a state (a tuple of floats, which is faster here than an array) to its derivative.
        start: state before the transient.
        steps: rows to return.
        dt: sampling step, time units.
        h_max: largest integration step; dt is cut into equal parts no longer than this.
        burn_in: time that is integrated and thrown away first, so that the rows lie on the attractor.

    Returns:
        (steps, N) states, row 0 at the end of the transient.

    Source: W. Kutta (1901), Zeitschrift fuer Mathematik und Physik 46, 435 (the classical fourth-order scheme).
    """
    parts = max(1, math.ceil(dt / h_max - 1e-9))
    state = start
    for _ in range(math.ceil(burn_in / h_max)):
        state = _runge_kutta(field, state, h_max)
    rows = []
    for _ in range(steps):
        rows.append(state)
        for _ in range(parts):
            state = _runge_kutta(field, state, dt / parts)
    return np.array(rows)


def lorenz63(
    steps: int, dt: float = 0.01, *, sigma: float = 10.0, rho: float = 28.0, beta: float = 8 / 3, seed: int = 0
) -> Series:
    """Lorenz's convection model: x' = sigma (y - x), y' = x (rho - z) - y, z' = x y - beta z.

    Args:
        steps: rows.
        dt: sampling step, time units; one swing takes about 0.75.
        sigma: Prandtl number.
        rho: Rayleigh number over its critical value; 28 is the classical chaotic case.
        beta: geometric factor.
        seed: of the start, drawn near the attractor; a transient of 30 time units is thrown away.

    Returns:
        (steps, 3) series x, y, z. lambda_max = 0.9056 per time unit at the default parameters.

    Source: E. N. Lorenz (1963), doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2; exponent: J. C. Sprott (2003),
        Chaos and Time-Series Analysis, Oxford, appendix A.
    """

    def field(state: State) -> State:
        x, y, z = state
        return sigma * (y - x), x * (rho - z) - y, x * y - beta * z

    start = np.random.default_rng(seed).normal([1.0, 1.0, 20.0], 1.0)
    rows = integrate(field, tuple(start.tolist()), steps, dt, h_max=0.005, burn_in=30.0)
    return Series(rows, dt, names=("x", "y", "z"))


def rossler(steps: int, dt: float = 0.1, *, a: float = 0.2, b: float = 0.2, c: float = 5.7, seed: int = 0) -> Series:
    """Rossler's band attractor: x' = -y - z, y' = x + a y, z' = b + z (x - c).

    Args:
        steps: rows.
        dt: sampling step, time units; one turn takes about 5.9.
        a: growth of the spiral.
        b: injection level.
        c: threshold of the fold; 5.7 is the classical chaotic case.
        seed: of the start, drawn near the attractor; a transient of 300 time units is thrown away.

    Returns:
        (steps, 3) series x, y, z. lambda_max = 0.0714 per time unit at the default parameters.

    Source: O. E. Rossler (1976), doi:10.1016/0375-9601(76)90101-8; exponent: J. C. Sprott (2003), Chaos and
        Time-Series Analysis, Oxford, appendix A.
    """

    def field(state: State) -> State:
        x, y, z = state
        return -y - z, x + a * y, b + z * (x - c)

    start = np.random.default_rng(seed).normal([-6.0, 0.0, 0.1], [0.5, 0.5, 0.01])
    rows = integrate(field, tuple(start.tolist()), steps, dt, h_max=0.025, burn_in=300.0)
    return Series(rows, dt, names=("x", "y", "z"))
