"""Solvers of equations of motion: fixed steps in plain floats, adaptive steps by scipy, and a fixed delay."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from chaos_core.errors import Inconsistent
from chaos_core.systems.base import Meter
from chaos_core.typing import Floats

__all__ = ["ArrayField", "DelayRate", "Field", "State", "integrate", "solve", "solve_delayed"]

State: TypeAlias = tuple[float, ...]
Field: TypeAlias = Callable[[State], State]
ArrayField: TypeAlias = Callable[[float, Floats], Any]
DelayRate: TypeAlias = Callable[[float, float], float]

SCIPY_UNITS = 10
"""Units of work for one evaluation in scipy's integrator, whose own arithmetic takes about ten times as long."""

NUMBERS_PER_UNIT = 20
"""Numbers of a large state that one more unit pays for."""


def _moved(state: State, slope: State, h: float) -> State:
    return tuple([s + h * k for s, k in zip(state, slope, strict=True)])


def _runge_kutta(field: Field, state: State, h: float) -> State:
    k1 = field(state)
    k2 = field(_moved(state, k1, h / 2))
    k3 = field(_moved(state, k2, h / 2))
    k4 = field(_moved(state, k3, h))
    slopes = zip(state, k1, k2, k3, k4, strict=True)
    return tuple([s + h / 6 * (a + 2 * b + 2 * c + d) for s, a, b, c, d in slopes])


def integrate(
    field: Field, start: State, steps: int, dt: float, h_max: float, burn_in: float, meter: Meter | None = None
) -> Floats:
    """Samples a flow x' = field(x) at a fixed step.

    Args:
        field: maps a state (a tuple of floats, which is faster here than an array) to its derivative.
        start: state before the transient.
        steps: rows to return.
        dt: sampling step, time units.
        h_max: largest integration step; dt is cut into equal parts no longer than this.
        burn_in: time that is integrated and thrown away first, so that the rows lie on the attractor.
        meter: is charged for the work, if given.

    Returns:
        (steps, N) states, row 0 at the end of the transient.

    Source: W. Kutta (1901), Zeitschrift fuer Mathematik und Physik 46, 435 (the classical fourth-order scheme).
    """
    parts = max(1, math.ceil(dt / h_max - 1e-9))
    unseen = math.ceil(burn_in / h_max)
    if meter is not None:
        meter.charge(4 * (unseen + steps * parts))
    state = start
    for _ in range(unseen):
        state = _runge_kutta(field, state, h_max)
    rows = []
    for _ in range(steps):
        rows.append(state)
        for _ in range(parts):
            state = _runge_kutta(field, state, dt / parts)
    return np.array(rows)


def solve(
    field: ArrayField,
    start: Floats,
    steps: int,
    dt: float,
    *,
    transient: float,
    tolerance: float,
    meter: Meter,
) -> Floats:
    """Samples a flow z' = field(t, z) by scipy's DOP853, which chooses its own steps; t = 0 in row 0.

    An eighth-order scheme is the cheapest explicit one at tolerances of 1e-9 and below.

    Args:
        field: (time, state (N,)) -> derivative (N,).
        start: (N,) state at t = -transient.
        steps: rows to return.
        dt: sampling step, time units.
        transient: time that is integrated and thrown away first.
        tolerance: relative and absolute error of one step; the states of our systems are of order 1 to 100.
        meter: is charged for each evaluation.

    Returns:
        (steps, N) states.

    Raises:
        Inconsistent: the integrator cannot go on, since the orbit runs away or turns too sharply.
        TooLarge: more evaluations than the meter allows.

    Source: E. Hairer, S. P. Norsett, G. Wanner (1993), Solving Ordinary Differential Equations I, Springer (DOP853).
    """
    # The service lists the systems without generating one, and must start without scipy.
    from scipy.integrate import solve_ivp

    cost = SCIPY_UNITS + len(start) // NUMBERS_PER_UNIT

    def metered(t: float, z: Floats) -> Any:
        meter.charge(cost)
        return field(t, z)

    def carry(state: Floats, span: tuple[float, float], times: Floats) -> Floats:
        done = solve_ivp(metered, span, state, "DOP853", times, rtol=tolerance, atol=tolerance)
        if not done.success:
            raise Inconsistent(f"the equations cannot be integrated to the last row: {done.message}")
        states: Floats = done.y.T
        return states

    state = carry(start, (-transient, 0.0), np.zeros(1))[-1] if transient else start
    times = np.arange(steps, dtype=np.float64) * np.float64(dt)
    return carry(state, (0.0, float(times[-1])), times)


def solve_delayed(
    rate: DelayRate, past: float, delay: float, steps: int, dt: float, *, h_max: float, transient: float, meter: Meter
) -> Floats:
    """Samples x'(t) = rate(x(t), x(t - delay)) by the classical Runge-Kutta method.

    The step h divides the delay, so that delayed values lie on the grid or halfway between two of its points, and so
    do the kinks that the end of the constant past leaves at each multiple of the delay. Between grid points the
    solution is a cubic through values and slopes of both ends, which keeps the fourth order of the scheme.

    Args:
        rate: (x now, x before the delay) -> x'.
        past: the constant value of x at all times before the start.
        delay: time units.
        steps: rows to return.
        dt: sampling step, time units, of any length.
        h_max: largest integration step.
        transient: time that is integrated and thrown away first.
        meter: is charged for the work.

    Returns:
        (steps,) values.

    Source: A. Bellen, M. Zennaro (2003), Numerical Methods for Delay Differential Equations, Oxford, chapter 3.
    """
    back = max(1, math.ceil(delay / h_max - 1e-9))
    h = delay / back
    total = math.floor((transient + (steps - 1) * dt) / h) + 1
    meter.charge(4 * total + steps + back)
    known, middle = _Past(back + 1, past, rate(past, past)), _cubic(0.5, h)
    x, seen = past, np.empty(steps)
    row, due = 0, transient / h
    for n in range(total):
        k1 = known.after[n % known.size]
        between, later = known.between(n - back, middle), known.values[(n + 1 - back) % known.size]
        k2 = rate(x + h / 2 * k1, between)
        k3 = rate(x + h / 2 * k2, between)
        x += h / 6 * (k1 + 2 * k2 + 2 * k3 + rate(x + h * k3, later))
        known.put(n + 1, x, rate(x, later))
        while row < steps and due < n + 1:
            seen[row] = known.between(n, _cubic(due - n, h))
            row += 1
            due = (transient + row * dt) / h
    return seen


class _Past:
    """Values at the last `size` grid points, up to point 0, with the slopes before and after each, in a ring.

    The two slopes differ at point 0 alone, where the constant past ends.
    """

    def __init__(self, size: int, value: float, slope: float) -> None:
        self.size = size
        self.values, self.before, self.after = [value] * size, [0.0] * size, [0.0] * size
        self.after[0] = slope

    def put(self, n: int, value: float, slope: float) -> None:
        place = n % self.size
        self.values[place], self.before[place], self.after[place] = value, slope, slope

    def between(self, n: int, weights: State) -> float:
        """The cubic with these weights between points n and n + 1."""
        a, b, c, d = weights
        here, there = n % self.size, (n + 1) % self.size
        return a * self.values[here] + b * self.values[there] + c * self.after[here] + d * self.before[there]


def _cubic(share: float, h: float) -> State:
    """Weights of (value, next value, slope, next slope) at a share of the way through an interval of length h."""
    rest = 1 - share
    return (1 + 2 * share) * rest**2, share**2 * (3 - 2 * share), h * share * rest**2, -h * share**2 * rest
