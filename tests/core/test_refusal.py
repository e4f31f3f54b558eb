from typing import Any

import pytest

from chaos_core.cells.lem import LEM
from chaos_core.cells.lstm import LSTM
from chaos_core.cells.plrnn import PLRNN
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.errors import Inconsistent
from chaos_core.forcing.generalized import Generalized
from chaos_core.forcing.sparse import Sparse
from chaos_core.forcing.windowed import Windowed
from chaos_core.losses.flossing import Flossing
from chaos_core.losses.jacobian import JacobianMatching
from chaos_core.losses.manifold import ManifoldAttractor
from chaos_core.losses.norm import ParameterNorm
from chaos_core.observation import IdentityObservation, LinearObservation
from chaos_core.refusal import native_refusal, step_refusal

pytestmark = pytest.mark.native

CELL = ClippedShPLRNN(latent=3, hidden=10)
IDENTITY = IdentityObservation()


def refusal(**change: Any) -> str | None:
    parts = {"cell": CELL, "observation": IDENTITY, "forcing": Sparse(tau=5), "losses": [], "observed": 3} | change
    return native_refusal(**parts)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"forcing": Generalized(alpha=0.1)},
        {"losses": [JacobianMatching()]},
        {"losses": [JacobianMatching(), ParameterNorm()]},
        {"cell": PLRNN(latent=3), "losses": [JacobianMatching()]},
        {
            "cell": PLRNN(latent=30),
            "observation": LinearObservation(),
            "losses": [ManifoldAttractor(), ParameterNorm()],
        },
        {"cell": ClippedShPLRNN(latent=3, hidden=10, inputs=2)},
        {"cell": LSTM(latent=30), "observation": IDENTITY},
    ],
    ids=["plain", "alpha", "slopes", "slopes and norm", "slopes of a plrnn", "plrnn", "inputs", "lstm"],
)
def test_these_trainings_have_native_code(change: dict[str, Any]) -> None:
    assert refusal(**change) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cell": LEM(latent=3)}, "no native training step for the cell LEM"),
        ({"forcing": Windowed(tau=5)}, "windowed does not force to the data"),
        ({"losses": [Flossing()]}, "knows no such losses"),
        ({"losses": [ParameterNorm(), Flossing()]}, "knows no such losses"),
        ({"losses": [JacobianMatching(), JacobianMatching()]}, "knows no such losses"),
        ({"cell": LSTM(latent=3), "losses": [JacobianMatching()]}, "knows no such losses"),
        ({"cell": PLRNN(latent=4), "losses": [JacobianMatching()]}, "knows no such losses"),
        ({"observation": IdentityObservation(hidden_start="zeros"), "losses": [JacobianMatching()], "observed": 2},
         "knows no such losses"),
        ({"input_noise": 0.1}, "adds no noise"),
    ],
)  # fmt: skip
def test_what_is_left_to_torch_is_told_with_the_reason(change: dict[str, Any], words: str) -> None:
    assert words in str(refusal(**change))


def test_the_step_knows_its_equations_alone() -> None:
    assert step_refusal(CELL, IDENTITY, "float64") is None
    assert step_refusal(CELL, LinearObservation()) is None
    assert "float16" in str(step_refusal(CELL, IDENTITY, "float16"))
    assert step_refusal(ClippedShPLRNN(latent=3, hidden=10, smoothing=0.1), IDENTITY, observed=3) is None
    with pytest.raises(Inconsistent):
        step_refusal(CELL, IDENTITY, observed=4)
