"""Every cell with every observation, driven and not, as a trained model with weights of the size of trained ones."""

from collections.abc import Iterator

import numpy as np

from chaos_core.cells import Cell
from chaos_core.embedding import Embedding
from chaos_core.fitted import Fitted
from chaos_core.generation import read_out
from chaos_core.initialise import draw
from chaos_core.observation import OBSERVATIONS, Observation
from chaos_core.orbits import orbits
from chaos_core.series import Scaling
from chaos_core.typing import Floats
from tests.conformance.test_cells import VARIANTS, parameters, small

STATES = 100
CHANNELS = ("a", "b", "c")


def exported(cell: Cell, observation: Observation, *, dtype: str = "float32", dim: int = 1) -> Fitted:
    """`small` cells have four units: three channels, or two copies of two, are seen."""
    names = CHANNELS[: 3 if dim == 1 else 2]
    seen = draw(observation.parameters(cell.latent, len(names) * dim), np.random.default_rng(1))
    params = {name: value.astype(dtype) for name, value in (parameters(cell) | seen).items()}
    n, k = len(names), cell.inputs
    return Fitted(
        cell=cell,
        observation=observation,
        params=params,
        scaling=Scaling((1.0, -20.0, 0.3)[:n], (0.5, 3.0, 40.0)[:n]),
        embedding=Embedding(dim=dim, lag=2),
        dt=0.1,
        names=names,
        latent_start=np.linspace(-1, 1, cell.state_size),
        input_names=("light", "sound")[:k],
        input_scaling=Scaling((1.0, 2.0), (0.1, 7.0)) if k else None,
    )


def all_exported() -> Iterator[tuple[str, Fitted]]:
    """Name and trained model; the delay embedding and float64 take turns with what they do not change."""
    for turn, words in enumerate(VARIANTS):
        for kind, observation in OBSERVATIONS.items():
            for inputs in (0, 2):
                cell = small(**words).model_copy(update={"inputs": inputs})
                dim, dtype = 1 + (turn + inputs) % 2, ("float32", "float64")[turn % 2]
                name = "-".join([*map(str, words.values()), kind, "driven" if inputs else "autonomous"])
                yield name, exported(cell, observation(), dtype=dtype, dim=dim)


def states(fitted: Fitted) -> tuple[Floats, Floats | None]:
    """A hundred states, and inputs as spread as those of the training, in data units."""
    rng = np.random.default_rng(7)
    z = rng.normal(0, 1.5, (STATES, fitted.cell.state_size))
    scaling = fitted.input_scaling
    return z, None if scaling is None else scaling.undo(rng.normal(0, 1, (STATES, fitted.cell.inputs)))


def stored_step(fitted: Fitted, z: Floats, u: Floats | None) -> tuple[Floats, Floats]:
    """The step as the stored trajectory is computed: by `orbits`, in float64."""
    driven = None if u is None else fitted.drive(u)[:, None]
    after = orbits(fitted.cell, fitted.params, z, 1, driven)[:, 0]
    return after, read_out(fitted, after)


def spread(fitted: Fitted) -> Floats:
    """Of the channels: deviations of x are told in it."""
    return np.asarray(fitted.scaling.std)
