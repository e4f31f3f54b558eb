"""Jacobians of the data: the derivative of a smooth map fitted to them, at states spread over them."""

import numpy as np

from chaos_core.embedding import Embedding, delay_embed
from chaos_core.errors import TooShort
from chaos_core.lyapunov.cleaning import DIRECTIONS, filter_runs
from chaos_core.lyapunov.map_model import fit_map
from chaos_core.lyapunov.neighbours import Orbit
from chaos_core.typing import Floats
from chaos_core.windows import Rows

__all__ = ["data_slopes"]

MOST_POINTS = 4000
LEAST_RUN = 10


def data_slopes(rows: Rows, embedding: Embedding) -> tuple[Floats, Floats]:
    """Where the data were, and how a small displacement there grows in one row.

    The map is the one that the Lyapunov estimator fits: quadratic and cubic terms with Gaussians, by ridge regression.
    Observation noise of a flow is filtered away first, where there is any: successive rows differ by less than the
    noise, and slopes fitted to the rows as they are would be those of noise.

    Args:
        rows: scaled states without a missing entry.
        embedding: whose delay vectors they are; the map is then damped across their directions of motion.

    Returns:
        points (R', D), at most 4000 of the states, evenly spread; slopes (R', D, D), entry [i, j] being dF_i / dz_j.

    Raises:
        TooShort: no run has enough complete rows.

    Source: Maus, Sprott (2013), Chaos, Solitons & Fractals 51, 13 (exponents from global maps).
    """
    channels, shortest = rows.x.shape[1] // embedding.dim, embedding.rows_lost + LEAST_RUN
    pairs = zip(rows.edges[:-1], rows.edges[1:], strict=True)
    runs = [rows.x[a:b, :channels] for a, b in pairs if b - a >= shortest]
    if not runs:
        raise TooShort(
            f"no uninterrupted run has the {shortest} complete rows that slopes need; losses [] trains without",
            rows_needed=shortest,
        )
    orbit = Orbit.of([delay_embed(run, embedding) for run in filter_runs(runs).runs])
    fitted = fit_map(orbit, 1, directions=DIRECTIONS if embedding.dim > 1 else None)
    points = orbit.z[np.linspace(0, orbit.length - 1, min(MOST_POINTS, orbit.length)).astype(np.int64)]
    return points, fitted.next(points)[1]
