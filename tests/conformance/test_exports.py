"""What leaves the service, run by others' code at a hundred states, against the step of the stored trajectory."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from chaos_core.arrays import as_array, as_arrays, concat
from chaos_core.cells.alrnn import ALRNN
from chaos_core.fitted import Fitted, config, to_safetensors
from chaos_core.generation import generate
from chaos_core.observation import IdentityObservation
from chaos_core.onnx_model import OPSET, to_onnx
from chaos_core.reader_script import READER_FILE, reader_script
from chaos_core.recording import BY_NAME, record_step, sources_first
from tests.conformance.exported import STATES, all_exported, exported, spread, states, stored_step
from tests.conformance.test_cells import small

LIMIT = 1e-5
MODELS = dict(all_exported())
READER = """
import importlib.util, pathlib, sys
import numpy as np
sys.modules["chaos_core"] = None
for folder in pathlib.Path(sys.argv[1]).iterdir():
    there = importlib.util.spec_from_file_location("reader", folder / "reader.py")
    reader = importlib.util.module_from_spec(there)
    there.loader.exec_module(reader)
    given = np.load(folder / "states.npz")
    z_next, x = reader.step(*[given[name] for name in ("z", "u") if name in given])
    np.savez(folder / "after.npz", z_next=z_next, x=x)
"""


def run_onnx(content: bytes, fitted: Fitted, precision: str) -> tuple[np.ndarray, np.ndarray]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    z, u = states(fitted)
    feed = {"z": z.astype(precision)} | ({} if u is None else {"u": u.astype(precision)})
    z_next, x = session.run(["z_next", "x"], feed)
    return z_next, x


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", MODELS)
def test_onnx_makes_the_stored_step(name: str, precision: str) -> None:
    fitted = MODELS[name]
    content = to_onnx(fitted, precision)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    z, u = states(fitted)
    if precision == "float32":
        z, u = z.astype(precision).astype(float), None if u is None else u.astype(precision).astype(float)
    z_next, x = run_onnx(content, fitted, precision)
    truth = stored_step(fitted, z, u)
    assert (z_next.shape, x.shape) == (truth[0].shape, truth[1].shape)
    limit = LIMIT if precision == "float32" else 1e-12
    np.testing.assert_allclose(z_next, truth[0], rtol=0, atol=limit)
    np.testing.assert_allclose(x / spread(fitted), truth[1] / spread(fitted), rtol=0, atol=limit)


@pytest.fixture(scope="module")
def read_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every reader run in one fresh process that cannot import our package."""
    root = tmp_path_factory.mktemp("archives")
    folders = {name: root / str(index) for index, name in enumerate(MODELS)}
    for name, fitted in MODELS.items():
        folders[name].mkdir()
        (folders[name] / READER_FILE).write_text(reader_script(fitted))
        (folders[name] / "model.safetensors").write_bytes(to_safetensors(fitted))
        z, u = states(fitted)
        np.savez(folders[name] / "states.npz", **({"z": z} if u is None else {"z": z, "u": u}))
    command = [sys.executable, "-I", "-c", READER, str(root)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folders


@pytest.mark.parametrize("name", MODELS)
def test_the_reader_makes_the_stored_step_without_us(name: str, read_elsewhere: dict[str, Path]) -> None:
    fitted, after = MODELS[name], np.load(read_elsewhere[name] / "after.npz")
    z_next, x = stored_step(fitted, *states(fitted))
    np.testing.assert_allclose(after["z_next"], z_next, rtol=0, atol=1e-12)
    np.testing.assert_allclose(after["x"] / spread(fitted), x / spread(fitted), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_a_reader_is_short(name: str) -> None:
    lines = [line for line in reader_script(MODELS[name]).splitlines() if line]
    assert len(lines) <= 20
    assert compile("\n".join(lines), READER_FILE, "exec")


def test_as_a_program_the_reader_writes_the_free_run(tmp_path: Path) -> None:
    fitted = exported(small("lstm"), IdentityObservation())
    (tmp_path / READER_FILE).write_text(reader_script(fitted))
    (tmp_path / "model.safetensors").write_bytes(to_safetensors(fitted))
    subprocess.run([sys.executable, "-I", str(tmp_path / READER_FILE)], cwd=tmp_path, check=True)
    lines = (tmp_path / "run.csv").read_text().splitlines()
    assert lines[0] == "a,b,c"
    np.testing.assert_allclose(np.loadtxt(lines[1:], delimiter=","), generate(fitted, 1000), rtol=1e-9)


def test_an_onnx_file_says_what_it_is_and_is_always_the_same() -> None:
    fitted = MODELS["lem-0.3-linear-driven"]
    content = to_onnx(fitted)
    assert content == to_onnx(fitted)
    read = onnx.load_from_string(content)
    facts = {entry.key: entry.value for entry in read.metadata_props}
    assert json.loads(facts["chaos"]) == json.loads(json.dumps(config(fitted)))
    assert read.opset_import[0].version == OPSET and "z_next" in read.doc_string
    shapes = [
        [axis.dim_param or axis.dim_value for axis in port.type.tensor_type.shape.dim] for port in read.graph.input
    ]
    assert shapes == [["K", 8], ["K", 2]]


def test_an_onnx_step_takes_any_number_of_rows() -> None:
    fitted = exported(small("gru"), IdentityObservation())
    session = onnxruntime.InferenceSession(to_onnx(fitted, "float64"), providers=["CPUExecutionProvider"])
    z = states(fitted)[0]
    for rows in (1, 2, STATES):
        assert session.run(["x"], {"z": z[:rows]})[0].shape == (rows, 3)


class Everything(ALRNN, frozen=True):
    """Uses each operation that can be recorded at least once; a step of no meaning."""

    def bind(self, p):  # type: ignore[no-untyped-def]
        w = (p["W"].tril(-1) + p["W"].triu(1)).mT

        def step(z, s=None):  # type: ignore[no-untyped-def]
            on = (z > 0).to(z.dtype) - (z < -0.5).to(z.dtype)
            size = 1 + abs(z).sum(-1)[..., None] / (2.0 - (-z).sigmoid())
            mixed = (z - (z[..., 0][..., None] - abs(z))) @ w / size**2.0
            cut = concat([mixed[..., 1:].relu(), mixed[..., :1].tanh() - z.mean(-1)[..., None]])
            return 1 - (cut * on - (p["h"] if s is None else p["h"] + s)) / (1 + z * z).sqrt()

        return step


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_every_operation_that_is_recorded_is_exported_right(precision: str, tmp_path: Path) -> None:
    fitted = exported(Everything(latent=4, rectified=1), IdentityObservation())
    made = {tensor.operation for tensor in sources_first(list(record_step(fitted).outputs.values()))}
    assert made == {*BY_NAME, ""}
    z = states(fitted)[0].astype(precision).astype(float)
    truth = fitted.cell.bind(as_arrays(fitted.params))(as_array(z))
    z_next, _ = run_onnx(to_onnx(fitted, precision), fitted, precision)
    np.testing.assert_allclose(z_next, truth, rtol=0, atol=LIMIT if precision == "float32" else 1e-12)
    (tmp_path / "model.safetensors").write_bytes(to_safetensors(fitted))
    names = {"__file__": str(tmp_path / READER_FILE), "__name__": "reader"}
    exec(compile(reader_script(fitted), READER_FILE, "exec"), names)
    np.testing.assert_allclose(names["step"](z)[0], truth, rtol=0, atol=1e-12)  # type: ignore[operator]


def test_what_is_not_recorded_is_refused_by_name() -> None:
    class Odd(ALRNN, frozen=True):
        def bind(self, p):  # type: ignore[no-untyped-def]
            return lambda z, _=None: z.sum(0)

    odd = exported(Odd(latent=4, rectified=1), IdentityObservation())
    with pytest.raises(NotImplementedError, match=r"sum\(0\)"):
        record_step(odd)
