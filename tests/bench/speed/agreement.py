"""Whether all that is timed does the same work: equal weights and windows must give equal losses.

The second bias of torch's RNN and LSTM, which our cells have not, is zero at first; here it stays so, while in the
timing it is trained as in the peers' code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tests.bench.speed import runs, spectra
from tests.bench.speed.cases import Case
from tests.bench.speed.variants import Update, kernel, peer, peer_clone, reference

__all__ = ["disagreements"]

TOLERANCE = 1e-4
UPDATES = 5
RATE = 1e-3
"""So large that a wrong gradient shows in the losses that follow."""


def disagreements(cases: Sequence[Case]) -> Iterator[tuple[str, bool]]:
    """What was compared in a line, and whether it disagrees."""
    for case in cases:
        yield from _losses(case)
    for case in runs.NARROW:
        yield _line(f"{case.name}, 50 steps of a free run", runs.ours(case, 50)(), runs.theirs(case, 50)())
        exponents = spectra.ours(case, 200, 100)(), spectra.theirs(case, 200, 200)()
        yield _line(f"{case.name}, exponents", *exponents)


def _losses(case: Case) -> Iterator[tuple[str, bool]]:
    native, clone = kernel(case, RATE), peer_clone(case, RATE, one_bias=True)
    truth = _course(case, peer(case, RATE, one_bias=True))
    yield _line(f"{case.name}, losses of peer and torch", truth, _course(case, reference(case, RATE)))
    if clone is not None:
        yield _line(f"{case.name}, losses of peer and clone", truth, _course(case, clone))
    if isinstance(native, str):
        yield f"{case.name}, no native step: {native}", False
    else:
        yield _line(f"{case.name}, losses of peer and native", truth, _course(case, native))


def _course(case: Case, update: Update) -> np.ndarray:
    return np.array([update(starts) for starts in case.starts(UPDATES)])


def _line(what: str, one: np.ndarray, other: np.ndarray) -> tuple[str, bool]:
    error = float(np.max(np.abs(one - other) / np.maximum(np.abs(one), 1e-12)))
    return f"{what} differ by {error:.1e}, {one.ravel()[:UPDATES]}", not error <= TOLERANCE
