"""States along one or several runs, which states come back near which, and how their paths part."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chaos_core.embedding import Embedding, delay_embed, unit_variance
from chaos_core.lyapunov import tree
from chaos_core.native import neighbours as native
from chaos_core.typing import Floats, Ints

__all__ = ["Orbit", "log_distances", "near", "nearest"]

MOST_STATES = 40_000
MOST_STATES_WIDE = 10_000
WIDE = 8


@dataclass(frozen=True, eq=False)
class Orbit:
    """States of all runs laid end to end.

    Args:
        z: (T, D) states.
        room: (T,) how many further rows of the same run follow each row; a path of h steps from row i is inside its
            run exactly if room[i] >= h.
    """

    z: Floats
    room: Ints

    @classmethod
    def of(cls, runs: Sequence[Floats]) -> "Orbit":
        """Lays runs of (T_i, D) states end to end."""
        room = [np.arange(len(run) - 1, -1, -1, dtype=np.int64) for run in runs]
        return cls(np.concatenate(runs), np.concatenate(room))

    @classmethod
    def embedded(cls, runs: Sequence[Floats], embedding: Embedding) -> "Orbit":
        """The states that runs (T_i, N) make up in a delay embedding, each coordinate scaled to unit variance.

        Of more than 40 000 (of more than eight coordinates: 10 000) the first of each run are taken in proportion.
        """
        states = [delay_embed(run, embedding) for run in runs if len(run) > embedding.rows_lost + 2]
        most = MOST_STATES_WIDE if states[0].shape[1] > WIDE else MOST_STATES
        share = min(1.0, most / sum(len(run) for run in states))
        orbit = cls.of([run[: max(2, int(share * len(run)))] for run in states])
        return cls(unit_variance(orbit.z), orbit.room)

    @property
    def length(self) -> int:
        """T, the number of rows of all runs together."""
        return len(self.z)

    def starts(self, steps: int, count: int) -> Ints:
        """At most `count` rows, evenly spread, from which a path of `steps` stays inside its run."""
        allowed = np.flatnonzero(self.room >= steps)
        if allowed.size <= count:
            return allowed
        return allowed[np.linspace(0, allowed.size - 1, count).astype(np.int64)]


def nearest(orbit: Orbit, references: Ints, theiler: int, horizon: int, count: int = 1) -> Ints:
    """The states nearest to each reference that are not its own past or future and that live as long.

    Equal states, as rounded data have them, never part and tell nothing: they are passed over. Of two states equally
    near the earlier one is taken.

    Args:
        orbit: the states.
        references: (R,) rows to find neighbours for.
        theiler: rows around a reference that are skipped.
        horizon: rows that both must have before them inside their runs.
        count: how many for each, 1 or more.

    Returns:
        (R, count) rows of the neighbours, the nearest first, -1 where there are no more.

    Source: M. T. Rosenstein, J. J. Collins, C. J. De Luca (1993), doi:10.1016/0167-2789(93)90009-P.
    """
    rows, points = np.flatnonzero(orbit.room >= horizon), orbit.z[references]
    found = native.search(orbit.z, rows, points, count, own=references, window=theiler)
    if found is None:
        found = tree.search(orbit.z, rows, points, count, own=references, window=theiler)
    return found


def near(library: Floats, points: Floats, count: int) -> Ints:
    """The states of a library that are nearest to each point, a state equal to the point included.

    Args:
        library: (T, D) states, 1 or more.
        points: (R, D) states.
        count: how many for each, 1 or more.

    Returns:
        (R, min(count, T)) rows of the library by distance, then by row.

    Raises:
        ValueError: nothing is asked for, or of nothing.
    """
    rows, most = np.arange(len(library)), min(count, len(library))
    if most < 1:
        raise ValueError(f"library and count must be 1 or more, got {len(library)} and {count}")
    found = native.search(library, rows, points, most)
    return tree.search(library, rows, points, most) if found is None else found


def log_distances(orbit: Orbit, here: Ints, there: Ints, horizon: int) -> Floats:
    """ln |z[here + k] - z[there + k]| along pairs of paths, k = 0..horizon.

    Args:
        orbit: the states.
        here: (R,) first rows.
        there: (R,) first rows of the other paths.
        horizon: last k, 0 or more.

    Returns:
        (R, horizon + 1), NaN where the two states are equal.

    Raises:
        IndexError: a path leads beyond the last row.
    """
    logs = native.path_squares(orbit.z, here, there, horizon)
    if logs is None:
        logs = tree.path_squares(orbit.z, here, there, horizon)
    np.log(logs, out=logs)
    logs *= 0.5
    return logs
