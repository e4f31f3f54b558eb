"""Chaotic maps with exponents known exactly or published; one row is one application, dt = 1."""

from collections.abc import Callable

import numpy as np

from chaos_core.series import Series

__all__ = ["henon", "ikeda", "logistic"]

BURN_IN = 1000


def _orbit(step: Callable[[float, float], tuple[float, float]], x: float, y: float, steps: int) -> np.ndarray:
    rows = []
    for _ in range(BURN_IN + steps):
        rows.append((x, y))
        x, y = step(x, y)
    return np.array(rows[BURN_IN:])


def logistic(steps: int, *, r: float = 4.0, seed: int = 0) -> Series:
    """The logistic map x <- r x (1 - x).

    Args:
        steps: rows.
        r: growth; 4 gives fully developed chaos, 3.2 a cycle of two.
        seed: of the start in (0, 1); 1000 rows of transient are thrown away.

    Returns:
        (steps, 1) series. lambda_max = ln 2 per step at r = 4, exactly.

    Source: R. M. May (1976), doi:10.1038/261459a0; exponent: by conjugacy with the tent map (Ulam, von Neumann 1947).
    """
    start = float(np.random.default_rng(seed).uniform(0.1, 0.4))
    rows = _orbit(lambda x, y: (r * x * (1 - x), y), start, 0.0, steps)
    return Series(rows[:, :1], 1.0, names=("x",))


def henon(steps: int, *, a: float = 1.4, b: float = 0.3, seed: int = 0) -> Series:
    """Henon's map x <- 1 - a x^2 + y, y <- b x.

    Args:
        steps: rows.
        a: strength of the fold.
        b: contraction of area, |det J|.
        seed: of the start near the origin; 1000 rows of transient are thrown away.

    Returns:
        (steps, 2) series. lambda_max = 0.4192 per step at the default parameters.

    Source: M. Henon (1976), doi:10.1007/BF01608556; exponent: J. C. Sprott (2003), Chaos and Time-Series Analysis,
        Oxford, appendix A.
    """
    x, y = np.random.default_rng(seed).uniform(-0.1, 0.1, 2).tolist()
    return Series(_orbit(lambda x, y: (1 - a * x * x + y, b * x), x, y, steps), 1.0, names=("x", "y"))


def ikeda(steps: int, *, u: float = 0.9, seed: int = 0) -> Series:
    """Ikeda's map of light in a ring cavity: z <- 1 + u z exp(i (0.4 - 6 / (1 + |z|^2))), z = x + i y.

    Args:
        steps: rows.
        u: share of the field kept in each turn.
        seed: of the start near the origin; 1000 rows of transient are thrown away.

    Returns:
        (steps, 2) series. lambda_max = 0.507 per step at u = 0.9.

    Source: K. Ikeda (1979), doi:10.1016/0030-4018(79)90090-7; exponent: J. C. Sprott (2003), Chaos and Time-Series
        Analysis, Oxford, appendix A.
    """

    def step(x: float, y: float) -> tuple[float, float]:
        z = complex(x, y)
        angle = 0.4 - 6 / (1 + abs(z) ** 2)
        z = 1 + u * z * complex(np.cos(angle), np.sin(angle))
        return z.real, z.imag

    x, y = np.random.default_rng(seed).uniform(0.0, 0.2, 2).tolist()
    return Series(_orbit(step, x, y, steps), 1.0, names=("x", "y"))
