"""All products of up to so many coordinates, fast for one state and for thousands.

Source: the features of Gauthier et al. (2021), doi:10.1038/s41467-021-25801-2, and the usual library of Brunton et al.
    (2016), doi:10.1073/pnas.1517384113. D coordinates have (D + degree choose degree) - 1 of them.
"""

import math
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from chaos_core.errors import SpecTooLarge
from chaos_core.typing import Floats, Ints

__all__ = ["MOST_TERMS", "Monomials"]

MOST_TERMS = 2000
"""Terms that are fitted at most: 61 coordinates have 1952 up to degree 2."""


@dataclass(frozen=True, eq=False)
class Monomials:
    """u_1, ..., u_D, u_1 u_1, u_1 u_2, ... up to a degree, without the constant.

    Args:
        terms: each a sorted tuple of coordinates, by degree and then in the order of tuples.
        parents, last: for each degree from 2 on, the place of a term without its last coordinate among those of one
            degree less, and that coordinate.
    """

    terms: tuple[tuple[int, ...], ...]
    parents: tuple[Ints, ...]
    last: tuple[Ints, ...]

    @classmethod
    def of(cls, coordinates: int, degree: int) -> "Monomials":
        """All monomials of `coordinates` variables up to `degree`.

        Raises:
            SpecTooLarge: more than `MOST_TERMS`.
        """
        count = math.comb(coordinates + degree, degree) - 1
        if count > MOST_TERMS:
            detail = (
                f"{coordinates} coordinates have {count} products of up to {degree}; at most {MOST_TERMS} are fitted"
            )
            raise SpecTooLarge(detail, value=count, limit=MOST_TERMS)
        terms: list[tuple[int, ...]] = [(i,) for i in range(coordinates)]
        before, parents, last = terms, [], []
        for power in range(2, degree + 1):
            new = list(combinations_with_replacement(range(coordinates), power))
            place = {term: index for index, term in enumerate(before)}
            parents.append(np.array([place[term[:-1]] for term in new], np.int64))
            last.append(np.array([term[-1] for term in new], np.int64))
            before = new
            terms = [*terms, *new]
        return cls(tuple(terms), tuple(parents), tuple(last))

    def __call__(self, u: Floats) -> Floats:
        """(B, D) -> (B, F)."""
        parts = [u]
        for parents, last in zip(self.parents, self.last, strict=True):
            parts.append(parts[-1][:, parents] * u[:, last])
        return np.concatenate(parts, axis=1)
