"""The walk of a series through the real processes, with HTTP and numpy alone."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chaos_client import Client
from tests.core.test_driven import damped
from tests.e2e.conftest import Json, Service, lorenz, until

SPEC = {
    "cell": {"kind": "clipped_shplrnn", "latent": 3, "hidden": 30},
    "training": {"updates": 3000, "sequence_length": 30, "batch_size": 16, "validations": 5, "restarts": 0},
}


@pytest.fixture(scope="module")
def job(service: Service, dataset_id: str) -> Json:
    return service.finish(service.train(dataset_id, SPEC, seed=1))


def read_safetensors(content: bytes) -> tuple[dict[str, np.ndarray[Any, Any]], Json]:
    """The format by hand: eight bytes of length, a JSON header, raw little-endian numbers."""
    length = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    facts = json.loads(header.pop("__metadata__")["chaos"])
    kinds = {"F32": "<f4", "F64": "<f8"}
    tensors = {}
    for name, about in header.items():
        start, stop = about["data_offsets"]
        tensors[name] = np.frombuffer(body[start:stop], kinds[about["dtype"]]).reshape(about["shape"]).astype(float)
    return tensors, facts


def clipped_shallow(p: dict[str, np.ndarray[Any, Any]], width: float, z: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """z' = A z + W1 [phi(W2 z + h2) - phi(W2 z)] + h1, phi(v) = (v + sqrt(v^2 + width^2)) / 2"""
    inner = z @ p["W2"].T
    units = [(v + np.sqrt(v**2 + width**2)) / 2 for v in (inner + p["h2"], inner)]
    return p["A"] * z + (units[0] - units[1]) @ p["W1"].T + p["h1"]


def test_a_series_becomes_a_scored_trained_model(job: Json) -> None:
    assert job["status"] == "succeeded", job["error"]
    assert job["kernel"] and job["device"] and job["plan_hash"]
    assert job["plan"]["interval"]["source"] == "lambda_max"
    for name in ("d_stsp", "d_h", "prediction_error"):
        assert job["scores"][name]["value"] >= 0 and job["scores"][name]["floor"] >= 0
    assert job["baselines"]["parroting"]["d_stsp"]["value"] >= 0
    assert job["progress"] == {"update": 3000, "total": 3000}
    assert job["created_at"] <= job["started_at"] <= job["first_step_at"] <= job["finished_at"]


def test_the_file_alone_rebuilds_the_stored_trajectory(service: Service, job: Json) -> None:
    content = service.http.get(f"/v1/models/{job['model_id']}/content")
    assert content.headers["etag"].strip('"') == hashlib.sha256(content.content).hexdigest()
    p, facts = read_safetensors(content.content)
    assert facts == service.get(f"/v1/models/{job['model_id']}")["config"]
    stored = np.load(io.BytesIO(service.http.get(f"/v1/trajectories/{job['trajectory_id']}/content").content))
    z, x, width = stored["z"], stored["x"], facts["settings"]["smoothing"]
    assert width == 0.1, "the default unit"
    assert np.abs(clipped_shallow(p, width, z[:-1])[:100] - z[1:101]).max() < 1e-10
    scale, shift = np.array(facts["scaling"]["std"]), np.array(facts["scaling"]["mean"])
    run, state = [], np.array(facts["latent_start"])
    for _ in range(100):
        state = clipped_shallow(p, width, state)
        run.append(state[:3] * scale + shift)
    assert np.abs(np.array(run) - x[:100]).max() < 1e-5


def test_the_same_job_on_the_same_data_gives_the_same_model(service: Service, dataset_id: str, job: Json) -> None:
    again = service.finish(service.train(dataset_id, SPEC, seed=1))
    assert again["id"] != job["id"] and again["plan_hash"] == job["plan_hash"]
    first, second = (service.get(f"/v1/models/{made['model_id']}") for made in (job, again))
    assert first["sha256"] == second["sha256"]


def test_the_client_takes_a_model_out_in_every_form(service: Service, job: Json, tmp_path: Path) -> None:
    key = service.http.headers["authorization"].split()[1]
    path = f"/v1/models/{job['model_id']}"
    with Client(str(service.http.base_url), key) as chaos:
        stored = np.load(io.BytesIO(chaos.download(f"/v1/trajectories/{job['trajectory_id']}/content")))
        packed = zipfile.ZipFile(io.BytesIO(chaos.download(f"/v1/jobs/{job['id']}/archive.zip")))
        packed.extractall(tmp_path)
        made = chaos.generate(job["model_id"], 100)
        run = np.load(io.BytesIO(chaos.download(made["links"]["content"], format="npy")))
        told = chaos.forecast(job["model_id"], stored["x"][:1].tolist(), 20)
        assert chaos.describe(job["model_id"], licence="CC0-1.0")["licence"] == "CC0-1.0"
        card = chaos.download(f"{path}/card").decode()
        lineage = chaos.get(f"{path}/lineage")
    assert np.array_equal(run, stored["x"][:100])
    np.testing.assert_allclose(told["rows"], stored["x"][1:21], atol=1e-6)
    assert "Licence: CC0-1.0" in card and lineage["code"]["core_sha256"] in card
    assert lineage["analysis"]["result"]["verdict"] == "chaotic" and lineage["checkpoints"]
    assert [entry["event"] for entry in lineage["attempts"]] == ["create", "claim", "succeed"]
    subprocess.run([sys.executable, "-I", "reader.py"], cwd=tmp_path, check=True)
    read = np.loadtxt(tmp_path / "run.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(read[:100], stored["x"][:100], rtol=0, atol=1e-5)


def test_metrics_are_complete_and_in_order(service: Service, job: Json) -> None:
    loss = service.get(f"/v1/jobs/{job['id']}/metrics?names=loss")["metrics"]["loss"]
    assert loss["step"] == [1, *range(3, 3001, 3)]
    assert np.isfinite(loss["value"]).all() and loss["value"][-1] < loss["value"][0]


def test_figures_and_files_are_listed(service: Service, job: Json) -> None:
    names = {artifact["name"] for artifact in service.get(f"/v1/jobs/{job['id']}/artifacts")["data"]}
    assert {"model.safetensors", "trajectory.npz", "attractor.svg", "attractor.png"} <= names


def test_an_analysis_with_options_is_made_once_and_drawn(service: Service, dataset_id: str) -> None:
    body = {"dataset_id": dataset_id, "options": {"embedding": {"dim": 2, "lag": 2}, "denoise": "off"}}
    path = f"/v1/analyses/{service.post('/v1/analyses', body)['id']}"
    until(lambda: service.get(path)["status"] == "succeeded", 60)
    made = service.get(path)
    assert made["options"] == body["options"]
    assert made["result"]["options"] == {**dict.fromkeys(made["result"]["options"], "auto"), **body["options"]}
    assert made["result"]["embedding"] == {"dim": 2, "lag": 2}
    again = service.http.post("/v1/analyses", json=body)
    assert (again.status_code, again.json()) == (200, made)
    figure = service.http.get(made["links"]["figure"])
    assert (figure.headers["content-type"], figure.content[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")
    assert service.get(f"/v1/datasets/{dataset_id}/analysis")["options"] == {}


def test_a_large_upload_is_read_by_the_worker(service: Service) -> None:
    x = lorenz(1000)
    rows = b"x,y,z\n" + b"\n".join(b",".join(b"%.17g" % value for value in row) for row in x)
    padded = rows + b"\n" * (65 * 1024 * 1024 - len(rows))
    made = service.post("/v1/datasets", files={"file": ("large.csv", padded)})
    assert made["status"] == "processing"
    until(lambda: service.get(f"/v1/datasets/{made['id']}")["status"] != "processing", 60)
    dataset = service.get(f"/v1/datasets/{made['id']}")
    assert (dataset["status"], dataset["rows"], dataset["names"]) == ("ready", 1000, ["x", "y", "z"]), dataset["error"]


def test_a_large_upload_that_cannot_be_read_says_why(service: Service) -> None:
    bad = b"x,y\n1,2\n3,oops\n" + b"4,5\n" * (17 * 1024 * 1024)
    made = service.post("/v1/datasets", files={"file": ("bad.csv", bad)})
    until(lambda: service.get(f"/v1/datasets/{made['id']}")["status"] != "processing", 60)
    error = service.get(f"/v1/datasets/{made['id']}")["error"]
    assert (error["code"], error["row"], error["column"]) == ("column_not_numeric", 1, "y")


def test_a_baseline_is_a_job_of_its_own(service: Service, dataset_id: str) -> None:
    kinds = {entry["kind"] for entry in service.get("/v1/model-types")["baselines"]}
    assert {"parroting", "persistence", "mean", "reservoir", "ngrc", "sindy", "sampled"} <= kinds
    body = {"dataset_id": dataset_id, "spec": {"baseline": {"kind": "ngrc"}}}
    job = service.finish(service.post("/v1/baselines", body)["id"])
    assert (job["status"], job["kind"], job["model_id"]) == ("succeeded", "baseline", None), job["error"]
    assert job["scores"]["prediction_error"]["value"] < job["scores"]["prediction_error"]["floor"]
    found = {entry["name"]: entry for entry in service.get(f"/v1/jobs/{job['id']}/artifacts")["data"]}
    assert {"trajectory.npz", "attractor.png", "attractor.svg"} <= set(found)
    refused = service.http.post("/v1/baselines", json={**body, "spec": {"baseline": {"kind": "oracle"}}})
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_kind")


def test_a_driven_recording_trains_with_its_stimulus_and_keeps_the_run_under_it(service: Service) -> None:
    series = damped()
    lines = ["a,b,light", *(f"{a:.9g},{b:.9g},{u:.9g}" for (a, b), [u] in zip(series.x, series.inputs, strict=True))]
    fields = {"dt": "1.0", "inputs": "light"}
    made = service.post("/v1/datasets", files={"file": ("driven.csv", "\n".join(lines).encode())}, data=fields)
    assert (made["names"], made["input_names"]) == (["a", "b"], ["light"])
    training = {"updates": 800, "sequence_length": 30, "batch_size": 16, "validations": 4, "clip_norm": 1.0}
    spec = {
        "cell": {"kind": "alrnn", "latent": 2, "rectified": 0},
        "forcing": {"kind": "sparse", "tau": 10},
        "training": training | {"optimiser": "adam", "learning_rate": 1e-2},
        "embedding": {"dim": 1},
    }
    job = service.finish(service.train(made["id"], spec))
    assert job["status"] == "succeeded", job["error"]
    assert job["plan"]["cell"]["inputs"] == 1
    assert job["scores"]["lambda_ratio"]["value"] is None and "inputs" in job["scores"]["lambda_ratio"]["reason"]
    stored = np.load(io.BytesIO(service.http.get(f"/v1/trajectories/{job['trajectory_id']}/content").content))["x"]
    test = series.split()[2].x
    assert len(stored) == len(test) - 1
    assert np.abs(stored - test[1:]).mean() < 0.1 * series.x.std()
