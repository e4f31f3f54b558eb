"""Each cell and forcing beside its peer: kept values of PyTorch peers, transcriptions of what exists in Julia only."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.forcing.adaptive import AdaptiveGeneralized
from chaos_core.forcing.base import Slopes
from chaos_core.observation import IdentityObservation
from chaos_core.typing import Floats
from tests.conformance.peer_cases import (
    Case,
    Deviation,
    Run,
    Signals,
    apart,
    frozen,
    inferred,
    kind_of,
    ours,
    padded,
    spelled,
)
from tests.conformance.transcriptions import STEPS, Forced, next_alpha, norm_estimate, run, slopes

KEPT: dict[str, Any] = json.loads((Path(__file__).parents[1] / "core" / "peers" / "cells.json").read_text())
COMMITS = {name: str(peer["commit"]) for name, peer in KEPT["peers"].items()} | {
    "GTF-shPLRNN": "b6172ce816f1910e54c30776ff49e52b5489430a",
    "ALRNN-DSR": "0bdca245a24ddabff691c7fe2e368afb6d24ccba",
}
REPOSITORIES = {name: str(peer["repository"]).split("/")[1] for name, peer in KEPT["peers"].items()}
ESTIMATES = (
    "product_upper_bound",
    "arithmetic_mean",
    "batch_maximum",
    "explog_approximation",
    "jacobian_upper_bound",
)
BY_POWER_ITERATION = ("product_upper_bound", "arithmetic_mean", "batch_maximum")
EXACT, ITERATED = 1e-10, 1e-3
"""Largest deviations: of runs, and of norms that we take by power iteration to a relative 1e-4."""

ROUNDS, DECAY = 4, 0.5
"""Estimates in turn, and a decay fast enough that each of them shows."""
SIGNALS: dict[str, Signals] = {"inferred": inferred, "frozen": frozen, "padded": padded}


@dataclass(frozen=True, eq=False)
class Row:
    """One cell under one forcing in one peer.

    Args:
        peer: name of the repository.
        commit: of the peer.
        cell, forcing, read_out: kinds, with what tells variants apart.
        remark: how the two codes differ.
        measure: gives the deviation.
        limit: the largest that is allowed.
    """

    peer: str
    commit: str
    cell: str
    forcing: str
    read_out: str
    remark: str
    measure: Callable[[], Deviation]
    limit: float = EXACT


def named(words: Mapping[str, Any]) -> str:
    """A kind, with the settings that are not its sizes."""
    sizes = ("kind", "latent", "bases", "hidden", "rectified")
    extra = [f"{name} = {_word(value)}" for name, value in words.items() if name not in sizes and value is not False]
    return ", ".join([str(words["kind"]), *extra])


def _word(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def kept_run(words: Mapping[str, Any]) -> Run:
    """What the peer's own modules gave."""
    gradients = {name: np.array(value) for name, value in words["gradients"].items()}
    return Run(np.array(words["z"]), np.array(words["x"]), float(words["loss"]), gradients)


def beside_kept(words: Mapping[str, Any]) -> Deviation:
    """Our run against the kept one, our gradients in the peer's parametrisation."""
    case = Case.read(words)
    found = ours(case)
    return apart(Run(found.z, found.x, found.loss, spelled(words["peer"], case, found.gradients)), kept_run(words))


def transcribed(of: Case, how: Forced, signals: str) -> Run:
    """The Julia equations on a case; `signals` says whether gradients pass through the forcing signals."""
    kind, p, x = kind_of(of.cell), of.weights(), of.data()
    off_diagonal = kind in ("plrnn", "mean_centred_plrnn", "dendplrnn", "clipped_dendplrnn")
    if off_diagonal:
        np.fill_diagonal(p["W"], 0.0)
    fixed = None if signals == "inferred" else p
    z, predicted, loss = run(STEPS[kind], p, x, how, fixed)
    gradients = slopes(lambda q: run(STEPS[kind], q, x, how, fixed)[2], p)
    if off_diagonal:
        np.fill_diagonal(gradients["W"], 0.0)
    return Run(z.real, predicted.real, float(loss.real), gradients)


@dataclass(frozen=True)
class Julia:
    """A case of a Julia peer: our words, its own forcing, and what its forcing signals are."""

    case: Case
    how: Forced
    signals: str
    remark: str

    def measure(self) -> Deviation:
        """Our run, its signals made as theirs are, against the transcription."""
        return apart(ours(self.case, SIGNALS[self.signals]), transcribed(self.case, self.how, self.signals))


OFF_TAPE = "their gradient stops at the forcing signals, and ours is cut there for this row"
PART = "partial forcing; z1 = (x, L x)"
WHOLE = "without partial forcing they pull hidden units to 0, as ours for this row; ours by itself pulls them to L x"
COUNTED = "forced after step t, counted from 2, where tau divides t - 1: the same rows as ours"
IDENTITY, LINEAR, AFFINE = {"kind": "identity"}, {"kind": "linear"}, {"kind": "affine"}
GTF: dict[str, Any] = {"kind": "generalized", "alpha": 0.15}
PARTIAL = GTF | {"units": [0, 1]}
SPARSE, FIRST_UNITS = {"kind": "sparse", "tau": 5}, {"kind": "identity", "tau": 5}
NONE_HIDDEN, SOME_HIDDEN = (3, 3), (5, 2)
"""M and N."""

Setting: TypeAlias = tuple[dict[str, Any], dict[str, Any], tuple[int, int], Forced, str, str]
"""Read-out, our forcing, (M, N), their forcing, their signals, remark."""

SHALLOW: list[Setting] = [
    (IDENTITY, GTF, NONE_HIDDEN, Forced(3, 0.15), "inferred", "M = N"),
    (AFFINE, GTF, SOME_HIDDEN, Forced(5, 0.15), "frozen", OFF_TAPE),
    (IDENTITY, PARTIAL, SOME_HIDDEN, Forced(2, 0.15), "inferred", PART),
    (IDENTITY, GTF, SOME_HIDDEN, Forced(5, 0.15), "padded", WHOLE),
    (LINEAR, SPARSE, SOME_HIDDEN, Forced(5, tau=5), "frozen", f"{OFF_TAPE}; {COUNTED}"),
    (IDENTITY, FIRST_UNITS, SOME_HIDDEN, Forced(2, tau=5), "inferred", f"{PART}; {COUNTED}"),
]
OTHERS = [SHALLOW[0], (LINEAR, GTF, SOME_HIDDEN, Forced(5, 0.15), "frozen", OFF_TAPE)]
SIZES: dict[str, dict[str, int]] = {
    "shplrnn": {"hidden": 4},
    "clipped_shplrnn": {"hidden": 4},
    "plrnn": {},
    "mean_centred_plrnn": {},
    "dendplrnn": {"bases": 3},
    "clipped_dendplrnn": {"bases": 3},
}


@cache
def julia_cases() -> tuple[tuple[str, Julia], ...]:
    """(repository, case) of all cells and forcings that exist in Julia and in no PyTorch peer, or differ there."""
    found: list[tuple[str, Julia]] = []
    for kind, sizes in SIZES.items():
        for read_out, forcing, (m, n), how, signals, remark in SHALLOW if "shplrnn" in kind else OTHERS:
            cell = {"kind": kind, "latent": m, **sizes}
            words = {"cell": cell, "observation": read_out, "forcing": forcing, "observed": n, "seed": 100 + len(found)}
            found.append(("GTF-shPLRNN", Julia(Case.read(words), how, signals, remark)))
    cell = {"kind": "alrnn", "latent": 5, "rectified": 2}
    words = {"cell": cell, "observation": IDENTITY, "forcing": FIRST_UNITS, "observed": 2, "seed": 99}
    return (*found, ("ALRNN-DSR", Julia(Case.read(words), Forced(2, tau=5), "inferred", f"z1 = (x, L x); {COUNTED}")))


def adaptive_case(turn: int) -> Case:
    """Other weights each turn, so that the strength moves."""
    cell = ClippedShPLRNN(latent=3, hidden=6)
    return Case(cell, IdentityObservation(), AdaptiveGeneralized(), 3, 200 + turn)


def strengths(estimate: str) -> tuple[Floats, Floats]:
    """alpha after each of four estimates, ours and by the transcription, from alpha = 0.

    The states are theirs, rows 1 to T of a window; in our training they are rows 0 to T - 1.
    """
    scheme = AdaptiveGeneralized.model_validate({"alpha": 0.0, "estimate": estimate, "decay": DECAY})
    alpha, found, expected = 0.0, [], []
    for turn in range(ROUNDS):
        case = adaptive_case(turn)
        p, states = case.weights(), case.data()[:, 1:]
        p["W1"] *= 4.0  # norms above 1, without which alpha is 0 by any estimate
        alpha = next_alpha(alpha, norm_estimate(estimate, p, states), DECAY)
        expected.append(alpha)
        scheme = scheme.after_batch(scheme.every, _slopes_of(case, p, states))
        found.append(scheme.alpha)
    return np.array(found), np.array(expected)


def _slopes_of(case: Case, p: dict[str, Floats], states: Floats) -> Slopes:
    bound = case.cell.slope_bound(p)
    assert bound is not None
    return Slopes(lambda: as_numpy(case.cell.jacobian(as_arrays(p), as_array(states))), lambda: bound)


def beside_strengths(estimate: str) -> Deviation:
    """Relative difference of alpha; there is no gradient."""
    found, expected = strengths(estimate)
    return Deviation(float(np.abs(found / expected - 1).max()), float("nan"))


def kept_row(words: Mapping[str, Any]) -> Row:
    """A row of a PyTorch peer."""
    return Row(
        REPOSITORIES[words["peer"]],
        COMMITS[words["peer"]],
        named(words["cell"]),
        named(words["forcing"]) + (" from z0 = 0" if words.get("start") == "zero" else ""),
        words["observation"]["kind"],
        words["remark"],
        partial(beside_kept, words),
    )


def julia_row(peer: str, julia: Julia) -> Row:
    """A row of a transcribed run."""
    cell, forcing = julia.case.cell, julia.case.forcing
    return Row(
        f"{peer} (Julia)",
        COMMITS[peer],
        named({"kind": kind_of(cell)} | cell.model_dump(exclude_defaults=True)),
        named({"kind": kind_of(forcing)} | forcing.model_dump(exclude_defaults=True)),
        kind_of(julia.case.observation),
        julia.remark,
        julia.measure,
    )


def adaptive_row(estimate: str) -> Row:
    """A row of a transcribed estimate."""
    return Row(
        "GTF-shPLRNN (Julia)",
        COMMITS["GTF-shPLRNN"],
        kind_of(adaptive_case(0).cell),
        f"adaptive_generalized, estimate = {estimate}",
        kind_of(adaptive_case(0).observation),
        "four alphas in turn; Jacobians at rows 1 to T of the window, where our training takes 0 to T - 1",
        partial(beside_strengths, estimate),
        ITERATED if estimate in BY_POWER_ITERATION else EXACT,
    )


@cache
def rows() -> tuple[Row, ...]:
    """All rows: PyTorch peers first."""
    julia = [julia_row(peer, case) for peer, case in julia_cases()]
    return (*map(kept_row, KEPT["rows"]), *julia, *map(adaptive_row, ESTIMATES))
