"""Training is a function of (series, plan, seed): the same three give the same file, to the last bit."""

import hashlib

import pytest

from chaos_core.analysis import analyse
from chaos_core.code_version import code_version
from chaos_core.fitted import from_safetensors, to_safetensors
from chaos_core.pipeline import fit
from chaos_core.planning import plan
from chaos_core.series import Series
from chaos_core.spec import Spec
from chaos_core.systems import henon

CELL = {"kind": "clipped_shplrnn", "hidden": 30}
SHORT = {
    "updates": 400,
    "restarts": 0,
    "sequence_length": 15,
    "batch_size": 16,
    "validations": 4,
    "learning_rate": 5e-3,
}
SPECS = {
    "native": {"cell": CELL, "training": {"updates": 2000, "restarts": 0}},
    "segments": {"cell": CELL, "training": {**SHORT, "input_noise": 0.01}},
}


def digest(kernel: str, seed: int) -> str:
    series = Series(henon(1500).x, names=("a", "b"))
    fitted = fit(series, plan(Spec.model_validate(SPECS[kernel]), analyse(series)), seed)
    content = to_safetensors(fitted)
    provenance = from_safetensors(content).provenance
    assert (provenance["kernel"], provenance["code"]) == (kernel, code_version())
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("kernel", [pytest.param("native", marks=pytest.mark.native), "segments"])
def test_the_same_series_plan_and_seed_give_the_same_file(kernel: str) -> None:
    first, again, other = (digest(kernel, seed) for seed in (1, 1, 2))
    assert first == again != other
