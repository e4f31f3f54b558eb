"""Evaluations, fine-tuning, diagnoses and figures through the real processes."""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from chaos_client import Client
from chaos_client.cli.main import app
from tests.e2e.conftest import Json, Service, lorenz, npy, until
from tests.e2e.test_walk import read_safetensors

SPEC = {
    "cell": {"kind": "clipped_shplrnn", "latent": 3, "hidden": 30},
    "training": {"updates": 2000, "sequence_length": 30, "batch_size": 16, "validations": 4, "restarts": 0},
}
SHORT = {"training": {"updates": 300, "sequence_length": 30, "batch_size": 16, "validations": 3}}


@pytest.fixture(scope="module")
def parent(service: Service, dataset_id: str) -> Json:
    job = service.finish(service.train(dataset_id, SPEC, seed=7))
    assert job["status"] == "succeeded", job["error"]
    return job


@pytest.fixture
def chaos(service: Service) -> Iterator[Client]:
    with Client(str(service.http.base_url), service.http.headers["authorization"].split()[1]) as client:
        yield client


def evaluation_of(job: Json) -> dict[str, Any]:
    """The settings of the job's own evaluation."""
    plan = job["plan"]["evaluation"]
    return {"preset": plan["preset"], "discard_share": plan["discard_share"]}


def test_the_scores_of_a_stored_run_are_those_of_its_job(chaos: Client, parent: Json) -> None:
    true = {"dataset_id": parent["dataset_id"], "piece": "test", "split": parent["plan"]["split"]}
    found = chaos.evaluate(true, parent["trajectory_id"], **evaluation_of(parent))
    assert found["status"] == "succeeded", found["error"]
    for name in ("d_stsp", "d_h", "power_spectrum_correlation"):
        mine, own = found["scores"][name], parent["scores"][name]
        assert mine["value"] == pytest.approx(own["value"], rel=1e-9) and mine["floor"] == own["floor"], name
    assert found["scores"]["lambda_ratio"]["reason"] and found["scores"]["prediction_error"]["reason"]
    assert all((score["value"] is None) == bool(score["reason"]) for score in found["scores"].values())


def test_anyones_run_is_scored_too(service: Service, chaos: Client, dataset_id: str) -> None:
    copy = service.upload(lorenz(4000), dt="0.05", name="the same again")
    same = chaos.evaluate(dataset_id, copy, metrics=["d_stsp", "d_h"])
    assert same["scores"]["d_stsp"]["value"] == pytest.approx(0.0, abs=1e-9)
    assert same["scores"]["d_h"]["value"] == pytest.approx(0.0, abs=1e-9)
    noise = service.upload(np.random.default_rng(0).standard_normal((2000, 3)) * 8, dt="0.05", name="noise")
    bad = chaos.evaluate(dataset_id, noise, metrics=["d_stsp"])
    assert bad["scores"]["d_stsp"]["value"] > 3
    slow = service.upload(lorenz(500, dt=0.1), dt="0.1", name="slow")
    refused = service.http.post(
        "/v1/evaluations", json={"true": {"dataset_id": dataset_id}, "generated": {"dataset_id": slow}}
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "inconsistent_spec")


def test_the_command_line_scores_files(service: Service, tmp_path: Path) -> None:
    for name, rows in (("true.npy", 1500), ("other.npy", 1200)):
        (tmp_path / name).write_bytes(npy(lorenz(rows)))
    words = ["evaluate", str(tmp_path / "true.npy"), str(tmp_path / "other.npy"), "--dt", "0.05"]
    words += ["--data-dir", str(service.folder)]
    shown = CliRunner().invoke(app, [*words, "--metrics", "d_stsp, mase"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "d_stsp" in shown.output and "generated_as forecast_path" in shown.output
    found = json.loads(CliRunner().invoke(app, [*words, "--metrics", "d_h", "--json"]).output)
    assert list(found["scores"]) == ["d_h"] and found["scores"]["d_h"]["value"] < 0.3
    refused = CliRunner().invoke(app, [*words, "--preset", "best"])
    assert refused.exit_code == 1 and "known: alrnn" in refused.output


def test_a_training_starts_from_a_model_and_outlives_it(service: Service, chaos: Client) -> None:
    first = service.upload(lorenz(4000), dt="0.05", name="first")
    elder = service.finish(service.train(first, SPEC, seed=3))
    p, facts = read_safetensors(chaos.download(f"/v1/models/{elder['model_id']}/content"))
    sha256 = chaos.get(f"/v1/models/{elder['model_id']}")["sha256"]
    moved = service.upload(lorenz(4000) * 1.05 + 0.5, dt="0.05", name="moved")
    waiting = chaos.train(moved, SHORT, start_from={"model_id": elder["model_id"]})
    chaos.delete(f"/v1/jobs/{elder['id']}")
    job = service.finish(waiting["id"])
    assert job["status"] == "succeeded", job["error"]
    assert job["start_from"]["sha256"] == sha256 == job["plan"]["start"]["sha256"]
    assert job["plan"]["cell"] == elder["plan"]["cell"]
    assert job["plan"]["interval"]["source"] == "lambda_max", "of the new data"
    model = chaos.get(f"/v1/models/{job['model_id']}")
    assert model["config"]["scaling"] == facts["scaling"]
    assert model["config"]["provenance"]["start"] == {"kind": "model", "sha256": sha256, "scaling": "parent"}
    told = chaos.get(f"/v1/models/{job['model_id']}/lineage")["start_from"]
    assert [(step["id"], step["present"]) for step in told] == [(elder["model_id"], False)]
    metrics = chaos.get(f"/v1/jobs/{job['id']}/metrics")["metrics"]
    assert metrics["loss"]["value"][0] < 5 * metrics["loss"]["value"][-1], "it did not begin anew"
    assert {name: value.shape for name, value in p.items()} == {
        name: value.shape
        for name, value in read_safetensors(chaos.download(f"/v1/models/{job['model_id']}/content"))[0].items()
    }


def test_a_training_starts_from_a_checkpoint_and_is_cloned(service: Service, chaos: Client, parent: Json) -> None:
    states = chaos.get(f"/v1/jobs/{parent['id']}/checkpoints")["data"]
    start = {"checkpoint_id": states[-1]["id"]}
    job = service.finish(chaos.train(parent["dataset_id"], SHORT, start_from=start)["id"])
    assert job["status"] == "succeeded", job["error"]
    twin = service.finish(chaos.clone(job["id"])["id"])
    assert twin["start_from"] == job["start_from"] and twin["plan_hash"] == job["plan_hash"]
    files = [chaos.download(f"/v1/models/{made['model_id']}/content") for made in (job, twin)]
    assert hashlib.sha256(files[0]).digest() == hashlib.sha256(files[1]).digest()
    told = chaos.validate(parent["dataset_id"], SHORT, start_from=start)
    assert told["plan_hash"] == job["plan_hash"]


def test_a_model_is_diagnosed_and_its_figures_are_there(service: Service, chaos: Client, parent: Json) -> None:
    told = chaos.diagnose(parent["model_id"], steps=2000)
    assert told["lambda_max"]["data"] > 0 and len(told["exponents"]["per_step"]) == 3
    assert told["gradient_growth"]["steps"] == parent["plan"]["forcing"]["tau"]
    names = [row["name"] for row in chaos.get(f"/v1/models/{parent['model_id']}/figures")["data"]]
    assert {"attractor.svg", "attractor.png"} <= set(names)
    picture = chaos.download(f"/v1/models/{parent['model_id']}/figures/attractor.png")
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    stored = np.load(io.BytesIO(chaos.download(f"/v1/trajectories/{parent['trajectory_id']}/content")))
    assert stored["x"].shape[1] == 3


def test_kill_9_of_the_runner_changes_nothing_in_a_fine_tuned_model(
    service: Service, chaos: Client, parent: Json
) -> None:
    spec = {"training": SPEC["training"] | {"updates": 40_000}}
    start = {"model_id": parent["model_id"]}
    broken, whole = (chaos.train(parent["dataset_id"], spec, seed=5, start_from=start)["id"] for _ in range(2))
    until(lambda: any(event["type"] == "checkpoint" for event in service.events(broken)))
    service.runners()[0].kill()
    jobs = [service.finish(job_id) for job_id in (broken, whole)]
    assert [job["status"] for job in jobs] == ["succeeded"] * 2, [job["error"] for job in jobs]
    assert [job["attempt"] for job in jobs] == [2, 1]
    first, second = (chaos.get(f"/v1/models/{job['model_id']}")["sha256"] for job in jobs)
    assert first == second
