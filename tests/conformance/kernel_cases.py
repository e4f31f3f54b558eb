"""Cells, windows and masks on which kernels are compared, and the torch twin of the native training step."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from chaos_core.cells import CELLS, Cell
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.forcing import AnyForcing
from chaos_core.forcing.generalized import Generalized
from chaos_core.forcing.identity import Identity
from chaos_core.forcing.none import NoForcing
from chaos_core.forcing.sparse import Sparse
from chaos_core.initialise import draw
from chaos_core.kernels import Kernel
from chaos_core.kernels.fused import native_step
from chaos_core.kernels.scans import SCANS
from chaos_core.native import has_step
from chaos_core.native.loader import FOLDER, Library, cpu_levels, open_library
from chaos_core.native.matching import Matching
from chaos_core.native.step import NativeStep
from chaos_core.observation import AffineObservation, IdentityObservation, LinearObservation, Observation
from chaos_core.scan import scan_with_gaps
from chaos_core.typing import Floats, Ints

ROWS = 400
LEVELS = cpu_levels()
ZEROS = IdentityObservation(hidden_start="zeros")
FORCINGS: list[AnyForcing] = [
    Sparse(tau=7, anneal_from=None),
    Generalized(alpha=0.15),
    Identity(tau=5, anneal_from=None),
    NoForcing(),
]


@dataclass(frozen=True)
class Sizes:
    """Chosen so that no length is a multiple of a vector, a register block or a chunk of time steps."""

    latent: int
    hidden: int
    observed: int
    batch: int
    steps: int


SIZES = [
    Sizes(latent=3, hidden=50, observed=3, batch=16, steps=200),
    Sizes(latent=5, hidden=7, observed=3, batch=13, steps=37),
    Sizes(latent=9, hidden=13, observed=2, batch=33, steps=11),
    Sizes(latent=17, hidden=130, observed=17, batch=3, steps=29),
    Sizes(latent=1, hidden=1, observed=1, batch=1, steps=1),
]


@dataclass(frozen=True, eq=False)
class Case:
    """A cell with parameters, a series with or without gaps, a batch of windows, and slopes to be matched."""

    sizes: Sizes
    cell: Cell
    params: dict[str, Floats]
    x: Floats
    seen: Floats
    starts: Ints
    matching: Matching | None = None
    rows: Ints | None = None
    observation: Observation = ZEROS
    u: Floats | None = None

    def step(self, **options: object) -> NativeStep:
        """The native training of this case."""
        own = {"seen": self.seen, "matching": self.matching, "observation": self.observation, "u": self.u}
        words = own | options
        return native_step(self.cell, self.x, self.params, **words)


ON_ANY_MACHINE = [kernel for kernel in SCANS if kernel is not Kernel.GPU]
"""The scans that these tests compare; that of a GPU has its own, `tests/gpu`."""

SETTINGS: dict[str, list[dict[str, object]]] = {
    "alrnn": [{"rectified": 2}, {"rectified": 0}],
    "clipped_dendplrnn": [{"bases": 5}, {"bases": 5, "centred": True, "bounded": True}],
    "clipped_shplrnn": [{"hidden": 7}, {"hidden": 13, "smoothing": 0.3}],
    "dendplrnn": [{"bases": 3}, {"bases": 1, "centred": True}],
    "shplrnn": [{"hidden": 7}],
}
NATIVE = [kind for kind in CELLS if has_step(kind)]
READ_OUTS = [ZEROS, IdentityObservation(), LinearObservation(), AffineObservation()]


def variants(kind: str) -> list[dict[str, object]]:
    """Settings of a kind beside its width."""
    return SETTINGS.get(kind, [{}])


def case(
    sizes: Sizes, *, smoothing: float = 0.0, missing: float = 0.0, matched: int = 0, bounded: bool = False
) -> Case:
    """A case of the clipped shallow PLRNN, drawn with a fixed seed.

    Args:
        sizes: of cell and batch.
        smoothing: delta of the cell.
        missing: share of the entries of x that are NaN.
        matched: P, points of Jacobian matching; 0 for none.
        bounded: whether the cell keeps |A| below 1.
    """
    rng = np.random.default_rng(0)
    cell = ClippedShPLRNN(latent=sizes.latent, hidden=sizes.hidden, smoothing=smoothing, bounded=bounded)
    params = _params(cell, ZEROS, sizes, rng)
    x, seen, starts = _windows(sizes, missing, rng)
    return Case(sizes, cell, params, x, seen, starts, *_matching(sizes, matched, rng))


def cell_case(
    kind: str,
    settings: Mapping[str, object],
    observation: Observation = ZEROS,
    *,
    sizes: Sizes,
    missing: float = 0.0,
    inputs: int = 0,
    matched: int = 0,
) -> Case:
    """A case of any cell; `Sizes.hidden` is not looked at. `matched`: P, points of Jacobian matching; 0 for none."""
    rng = np.random.default_rng(0)
    cell = CELLS[kind].model_validate({"latent": sizes.latent, "inputs": inputs, **settings})
    params = _params(cell, observation, sizes, rng)
    x, seen, starts = _windows(sizes, missing, rng)
    u = rng.standard_normal((ROWS, inputs)) if inputs else None
    matching, rows = _matching(sizes, matched, rng)
    return Case(sizes, cell, params, x, seen, starts, matching, rows, observation, u)


def _matching(sizes: Sizes, matched: int, rng: np.random.Generator) -> tuple[Matching | None, Ints | None]:
    points = rng.standard_normal((30, sizes.latent))
    slopes = np.eye(sizes.latent) + rng.standard_normal((30, sizes.latent, sizes.latent))
    return (Matching(points, slopes, 0.3), rng.integers(0, 30, matched)) if matched else (None, None)


def _params(cell: Cell, observation: Observation, sizes: Sizes, rng: np.random.Generator) -> dict[str, Floats]:
    drawn = draw(cell.parameters() | observation.parameters(cell.latent, sizes.observed), rng, (-1.0, 1.0))
    params = {name: array + 0.1 * rng.standard_normal(array.shape) for name, array in drawn.items()}
    return params | ({"A": 0.5 * params["A"]} if "A" in params else {})


def _windows(sizes: Sizes, missing: float, rng: np.random.Generator) -> tuple[Floats, Floats, Ints]:
    whole = rng.standard_normal((ROWS, sizes.observed))
    x = np.where(rng.random(whole.shape) < missing, np.nan, whole)
    bridge = rng.random(whole.shape) < 0.5
    seen = np.where(np.isfinite(x) | bridge, whole, np.nan)
    return x, seen, rng.integers(0, ROWS - sizes.steps, sizes.batch)


def mask(forcing: AnyForcing, sizes: Sizes, width: int | None = None) -> Floats:
    """The forcing at the start of a training, of `width` numbers of the state (M by default)."""
    return forcing.mask(sizes.steps, width or sizes.latent, sizes.observed, 0.0, np.random.default_rng(0))


def trainable(params: Mapping[str, Floats]) -> dict[str, torch.Tensor]:
    """Tensors that gather gradients."""
    return {name: torch.tensor(array, requires_grad=True) for name, array in params.items()}


def twin_loss(of: Case, params: Mapping[str, torch.Tensor], alpha: Floats, starts: Ints | None = None) -> torch.Tensor:
    """The squared error of a batch by the reference scan: the sum over the targets that are there, by their number."""
    rows = (of.starts if starts is None else starts)[:, None] + np.arange(of.sizes.steps + 1)
    present = torch.as_tensor(np.isfinite(of.x[rows]))
    x, seen = torch.as_tensor(of.x[rows]), torch.as_tensor(of.seen[rows][:, :-1])
    s = None if of.u is None else of.cell.drive(params, torch.as_tensor(of.u[rows[:, 1:]]))
    z = scan_with_gaps(of.cell, of.observation, params, seen.nan_to_num(), seen.isfinite(), alpha, s)
    error = (of.observation.predict(params, z, of.sizes.observed) - x[:, 1:])[present[:, 1:]]
    return (error**2).sum() / max(len(error), 1)


def twin_penalty(of: Case, params: Mapping[str, torch.Tensor], rows: Ints | None = None) -> torch.Tensor:
    """Weighted mean squared distance of the Jacobians at the case's points, by autograd through `cell.jacobian`."""
    chosen = of.rows if rows is None else rows
    if of.matching is None or chosen is None:
        return torch.zeros(())
    slopes = torch.as_tensor(of.matching.slopes)
    away = ((slopes - torch.eye(of.sizes.latent)) ** 2).sum((-2, -1)).mean()
    found = of.cell.jacobian(params, torch.as_tensor(of.matching.points)[chosen])
    return of.matching.weight * ((found - slopes[chosen]) ** 2).sum((-2, -1)).mean() / away


def kernels(level: str) -> Library:
    """The library of one CPU level."""
    library, status = open_library(FOLDER, [level])
    assert library is not None, status.reason
    return library


def relative_error(ours: Floats, truth: torch.Tensor | None) -> float:
    """Largest difference, relative to the largest true entry."""
    assert truth is not None
    return float(np.abs(ours - truth.numpy()).max() / max(np.abs(truth.numpy()).max(), 1e-300))
