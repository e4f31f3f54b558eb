"""A finished job whose model really runs."""

import io
from dataclasses import dataclass

import numpy as np

from chaos_core.cells import Cell
from chaos_core.embedding import Embedding
from chaos_core.fitted import Fitted, config, to_safetensors
from chaos_core.generation import free_latent, read_out
from chaos_core.initialise import draw
from chaos_core.observation import IdentityObservation
from chaos_core.series import Scaling
from chaos_store.engine import Database
from tests.api.conftest import Left, Walked, walk
from tests.conformance.test_cells import small

STEPS = 200
PLAN = {
    "cell": {"kind": "gru"},
    "observation": {"kind": "identity"},
    "forcing": {"kind": "sparse"},
    "losses": [{"kind": "mse"}, {"kind": "flossing"}],
}


def a_fitted(cell: Cell | None = None, dim: int = 1, dt: float | None = 0.1) -> Fitted:
    """Two channels."""
    cell = cell or small("gru")
    observation = IdentityObservation(hidden_start="zeros")
    params = {
        name: value.astype(np.float32) for name, value in draw(cell.parameters(), np.random.default_rng(3)).items()
    }
    return Fitted(
        cell=cell,
        observation=observation,
        params=params,
        scaling=Scaling((1.0, -20.0), (0.5, 3.0)),
        embedding=Embedding(dim=dim, lag=2),
        dt=dt,
        names=("x", "y"),
        latent_start=np.linspace(-0.5, 0.5, cell.state_size),
        input_names=("light",)[: cell.inputs],
        input_scaling=Scaling((1.0,), (2.0,)) if cell.inputs else None,
        provenance={"seed": 0, "series_sha256": "5" * 64, "code": {"release": "9.9", "core_sha256": "c" * 64}},
    )


@dataclass(frozen=True)
class Living:
    """Ids, and the model as the service has it."""

    ids: Walked
    fitted: Fitted

    @property
    def path(self) -> str:
        return f"/v1/models/{self.ids.model_id}"


def lives(database: Database, project_id: str, fitted: Fitted) -> Living:
    z = free_latent(fitted, STEPS, inputs=np.zeros((STEPS, 1)) if fitted.cell.inputs else None)
    buffer = io.BytesIO()
    np.savez(buffer, x=read_out(fitted, z), z=z, latent_start=fitted.latent_start)
    left = Left(to_safetensors(fitted), config(fitted), buffer.getvalue(), PLAN)
    return Living(walk(database, project_id, left), fitted)
