import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load

from chaos_core.cells.plrnn import PLRNN
from chaos_core.cells.shplrnn import ClippedShPLRNN
from chaos_core.embedding import Embedding
from chaos_core.errors import UnreadableFile
from chaos_core.fitted import Fitted, config, from_safetensors, to_safetensors
from chaos_core.generation import generate
from chaos_core.initialise import draw
from chaos_core.observation import IdentityObservation, LinearObservation
from chaos_core.series import Scaling


def a_model(seed: int = 0) -> Fitted:
    cell = ClippedShPLRNN(latent=2, hidden=5)
    params = {
        name: value.astype(np.float32) for name, value in draw(cell.parameters(), np.random.default_rng(seed)).items()
    }
    return Fitted(
        cell=cell,
        observation=IdentityObservation(),
        params=params,
        scaling=Scaling((1.0, -2.0), (0.5, 3.0)),
        embedding=Embedding(),
        dt=0.01,
        names=("u", "v"),
        latent_start=np.array([0.3, -0.1]),
        observation_noise=(0.01, 0.0),
        provenance={"seed": seed},
    )


def test_a_stored_model_comes_back_to_the_last_bit() -> None:
    model = a_model()
    again = from_safetensors(to_safetensors(model))
    assert config(again) == config(model)
    assert all(np.array_equal(again.params[name], value) for name, value in model.params.items())
    assert np.array_equal(generate(again, 20), generate(model, 20))


def test_a_linear_observation_is_stored_with_its_matrix() -> None:
    cell, observation = PLRNN(latent=4), LinearObservation()
    params = draw(cell.parameters() | observation.parameters(4, 2), np.random.default_rng(1))
    model = replace(a_model(), cell=cell, observation=observation, params=params, latent_start=np.zeros(4))
    again = from_safetensors(to_safetensors(model))
    assert config(again)["dtype"] == "float64"
    assert np.array_equal(again.params["B"], params["B"])


def test_a_reader_with_numpy_alone_repeats_the_run() -> None:
    content = to_safetensors(a_model())
    p = {name: value.astype(float) for name, value in load(content).items()}
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    facts = json.loads(header["__metadata__"]["chaos"])
    assert facts == config(a_model())
    z, rows = np.array(facts["latent_start"]), []
    for _ in range(10):
        u = p["W2"] @ z
        z = p["A"] * z + p["W1"] @ (np.maximum(u + p["h2"], 0) - np.maximum(u, 0)) + p["h1"]
        rows.append(z * facts["scaling"]["std"] + facts["scaling"]["mean"])
    np.testing.assert_allclose(generate(a_model(), 10), rows, rtol=1e-12)


@pytest.mark.parametrize(
    "content",
    [
        to_safetensors(a_model())[:40],
        b"",
        to_safetensors(a_model()).replace(b"chaos-1", b"chaos-9"),
        b"x" * 200,
    ],
)
def test_damaged_files_are_refused(content: bytes) -> None:
    with pytest.raises(UnreadableFile):
        from_safetensors(content)


def test_tensors_of_another_shape_are_refused() -> None:
    model = a_model()
    wrong = replace(model, params={**model.params, "A": np.zeros(3, np.float32)})
    with pytest.raises(UnreadableFile):
        from_safetensors(to_safetensors(wrong))
