"""States along one or several runs, and which states come back near which."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from chaos_core.typing import Floats, Ints

__all__ = ["Orbit", "nearest"]


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


def nearest(orbit: Orbit, references: Ints, theiler: int, horizon: int) -> Ints:
    """The nearest state of each reference that is not its own past or future and that lives as long.

    More and more candidates are asked of a k-d tree until one lies outside the Theiler window at a distance above
    zero (equal states, as rounded data have them, never part and tell nothing).

    Args:
        orbit: the states.
        references: (R,) rows to find neighbours for.
        theiler: rows around a reference that are skipped.
        horizon: rows that both must have before them inside their runs.

    Returns:
        (R,) rows of the neighbours, -1 where there is none.

    Source: M. T. Rosenstein, J. J. Collins, C. J. De Luca (1993), doi:10.1016/0167-2789(93)90009-P.
    """
    library = np.flatnonzero(orbit.room >= horizon)
    partner = np.full(len(references), -1, np.int64)
    if library.size == 0:
        return partner
    tree = cKDTree(orbit.z[library])
    open_ = np.arange(len(references))
    limit = min(library.size, 2 * theiler + 2 + 64)
    candidates = min(limit, 8)
    while open_.size:
        rows = references[open_]
        distance, index = tree.query(orbit.z[rows], k=candidates)
        found = library[index.reshape(len(rows), -1)]
        allowed = (np.abs(found - rows[:, None]) > theiler) & (distance.reshape(found.shape) > 0)
        done = allowed.any(axis=1)
        partner[open_[done]] = found[done, allowed[done].argmax(axis=1)]
        open_ = open_[~done]
        if candidates == limit:
            break
        candidates = min(limit, 4 * candidates)
    return partner
