"""Jacobians of the data: the derivative of a smooth map fitted to them, at states spread over them."""

import numpy as np

from chaos_core.lyapunov.cleaning import DIRECTIONS
from chaos_core.lyapunov.map_model import fit_map
from chaos_core.lyapunov.neighbours import Orbit
from chaos_core.typing import Floats
from chaos_core.windows import Rows

__all__ = ["data_slopes"]

MOST_POINTS = 4000
LEAST_RUN = 10


def data_slopes(rows: Rows, *, delays: bool) -> tuple[Floats, Floats]:
    """Where the data were, and how a small displacement there grows in one row.

    The map is the one that the Lyapunov estimator fits: quadratic and cubic terms with Gaussians, by ridge regression.

    Args:
        rows: scaled states without a missing entry.
        delays: whether they are delay vectors, across whose directions of motion the map is then damped.

    Returns:
        points (R', D), at most 4000 of the states, evenly spread; slopes (R', D, D), entry [i, j] being dF_i / dz_j.

    Source: Maus, Sprott (2013), Chaos, Solitons & Fractals 51, 13 (exponents from global maps).
    """
    pairs = zip(rows.edges[:-1], rows.edges[1:], strict=True)
    orbit = Orbit.of([rows.x[a:b] for a, b in pairs if b - a >= LEAST_RUN])
    fitted = fit_map(orbit, 1, directions=DIRECTIONS if delays else None)
    points = orbit.z[np.linspace(0, orbit.length - 1, min(MOST_POINTS, orbit.length)).astype(np.int64)]
    return points, fitted.next(points)[1]
