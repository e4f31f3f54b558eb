"""Trained models as they leave: ONNX, archive, card, lineage, trajectories in every format."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import numpy as np
import onnxruntime
import polars
import pytest

from chaos_store.engine import Database
from tests.api.conftest import Walked, add_dataset, add_job
from tests.api.living import STEPS, Living, a_fitted, lives
from tests.conformance.test_cells import small


@pytest.fixture
def living(database: Database, project_id: str) -> Living:
    return lives(database, project_id, a_fitted())


async def stored_run(client: httpx.AsyncClient, living: Living) -> dict[str, np.ndarray]:
    answer = await client.get(f"/v1/trajectories/{living.ids.trajectory_id}/content")
    with np.load(io.BytesIO(answer.content)) as stored:
        return dict(stored)


async def test_onnx_repeats_the_stored_trajectory_step_by_step(client: httpx.AsyncClient, living: Living) -> None:
    run = await stored_run(client, living)
    for precision, limit in (("float32", 1e-5), ("float64", 1e-12)):
        answer = await client.get(f"{living.path}/content?format=onnx&precision={precision}")
        assert answer.headers["content-disposition"].startswith('attachment; filename="model.onnx"')
        session = onnxruntime.InferenceSession(answer.content, providers=["CPUExecutionProvider"])
        z, x = session.run(["z_next", "x"], {"z": run["z"][:100].astype(precision)})
        np.testing.assert_allclose(z, run["z"][1:101], rtol=0, atol=limit)
        np.testing.assert_allclose(x / [0.5, 3.0], run["x"][1:101] / [0.5, 3.0], rtol=0, atol=limit)


async def test_made_content_has_an_etag_head_and_ranges_as_stored_content(
    client: httpx.AsyncClient, living: Living
) -> None:
    job, run = living.ids.job_id, living.ids.trajectory_id
    for path in (
        f"{living.path}/content?format=onnx",
        f"{living.path}/card",
        f"/v1/jobs/{job}/archive.zip",
        f"/v1/trajectories/{run}/content?format=csv",
    ):
        whole, head = await client.get(path), await client.head(path)
        etag = whole.headers["etag"]
        assert etag == f'"{hashlib.sha256(whole.content).hexdigest()}"'
        assert head.content == b"" and head.headers["content-length"] == str(len(whole.content))
        part = await client.get(path, headers={"Range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, whole.content[5:10])
        assert part.headers["content-range"] == f"bytes 5-9/{len(whole.content)}"
        assert (await client.get(path, headers={"If-None-Match": etag})).status_code == 304
        assert (await client.get(path, headers={"Range": f"bytes={len(whole.content)}-"})).status_code == 416


async def test_a_trajectory_is_the_same_in_every_format(client: httpx.AsyncClient, living: Living) -> None:
    x, path = (await stored_run(client, living))["x"], f"/v1/trajectories/{living.ids.trajectory_id}/content?format="
    answers = {kind: await client.get(path + kind) for kind in ("npz", "npy", "parquet", "csv")}
    assert [answer.status_code for answer in answers.values()] == [200] * 4
    assert answers["csv"].headers["content-type"] == "text/csv; charset=utf-8"
    assert answers["parquet"].headers["content-disposition"].startswith('attachment; filename="trajectory.parquet"')
    assert np.array_equal(np.load(io.BytesIO(answers["npy"].content)), x)
    for table in (polars.read_parquet(answers["parquet"].content), polars.read_csv(answers["csv"].content)):
        assert table.columns == ["time", "x", "y"]
        assert np.array_equal(table.select("x", "y").to_numpy(), x)
        np.testing.assert_allclose(table["time"].to_numpy(), 0.1 * np.arange(1, STEPS + 1))
    refused = await client.get(path + "xlsx")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")


async def test_a_name_and_a_licence_are_changed_and_stand_on_the_card(
    client: httpx.AsyncClient, living: Living
) -> None:
    assert (await client.get(living.path)).json()["licence"] == "unspecified"
    before = await client.get(f"{living.path}/card")
    changed = await client.patch(living.path, json={"name": "quiet waves", "licence": "CC-BY-4.0"})
    assert (changed.status_code, changed.json()["name"], changed.json()["licence"]) == (200, "quiet waves", "CC-BY-4.0")
    card = await client.get(f"{living.path}/card")
    assert card.headers["etag"] != before.headers["etag"] and card.headers["cache-control"] == "private, no-cache"
    assert "# quiet waves" in card.text and "Licence: CC-BY-4.0" in card.text
    again = await client.patch(living.path, json={"licence": None})
    assert (again.json()["name"], again.json()["licence"]) == ("quiet waves", "unspecified")
    assert (await client.patch(living.path, json={"sha256": "0"})).status_code == 422


async def test_a_stage_is_set_and_found_by(client: httpx.AsyncClient, living: Living) -> None:
    assert (await client.get(living.path)).json()["stage"] == "none"
    assert (await client.patch(living.path, json={"stage": "production"})).json()["stage"] == "production"
    dataset_id = living.ids.dataset_id
    searches = {"stage=production": 1, "stage=none": 0, f"dataset_id={dataset_id}": 1, "dataset_id=x": 0}
    for query, count in searches.items():
        assert len((await client.get(f"/v1/models?{query}")).json()["data"]) == count, query
    assert (await client.patch(living.path, json={"licence": "MIT", "stage": None})).json()["stage"] == "production"
    for refused in (client.patch(living.path, json={"stage": "prod"}), client.get("/v1/models?stage=prod")):
        assert (await refused).status_code == 422


async def test_the_card_tells_scores_with_floors_hashes_and_papers(client: httpx.AsyncClient, living: Living) -> None:
    text = (await client.get(f"{living.path}/card")).text
    assert "| this model | `d_stsp` | 0.1 | 0.05 |" in text
    for told in ("a" * 64, "5" * 64, "c" * 64, hashlib.sha256(b"x,y\n1,2\n").hexdigest(), "Licence: unspecified"):
        assert told in text
    for paper in ("arXiv:1406.1078", "arXiv:2110.07238", "arXiv:2312.17306", "doi:10.1371/journal.pcbi.1007263"):
        assert paper in text


async def test_the_lineage_is_one_document(client: httpx.AsyncClient, living: Living) -> None:
    told = (await client.get(f"{living.path}/lineage")).json()
    assert told["dataset"]["id"] == living.ids.dataset_id and told["dataset"]["series_digest"] == "5" * 64
    assert told["analysis"]["result"] == {"verdict": "chaotic", "tau": 7}
    assert (told["job"]["plan_hash"], told["job"]["seed"]) == ("a" * 64, 0)
    assert told["code"] == {"release": "9.9", "core_sha256": "c" * 64}
    assert [entry["event"] for entry in told["attempts"]] == ["create", "claim", "succeed"]
    assert {
        entry["name"]: (entry["numbers"], entry["last_step"], entry["last_value"]) for entry in told["metrics"]
    } == {
        "loss": (2, 2, None),
        "tau": (1, 1, 2.0),
    }
    assert told["scores"]["d_stsp"]["floor"] == 0.05 and told["checkpoints"] == []
    assert {"cell gru", "forcing sparse", "loss flossing", "metric d_stsp"} <= {paper["of"] for paper in told["papers"]}
    assert (await client.get(f"{living.path}/lineage")).json() == told


async def test_an_archive_is_complete_always_the_same_and_runs_without_us(
    client: httpx.AsyncClient, living: Living, tmp_path: Path
) -> None:
    path = f"/v1/jobs/{living.ids.job_id}/archive.zip"
    answer = await client.get(path)
    assert (answer.headers["content-type"], (await client.get(path)).content == answer.content) == (
        "application/zip",
        True,
    )
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert set(packed.namelist()) == {
            "MODEL_CARD.md", "REFERENCES.md", "figures/attraktor für “x”.svg", "lineage.json", "model.onnx",
            "model.safetensors", "plan.json", "reader.py", "scores.json", "trajectory.npz",
        }  # fmt: skip
        packed.extractall(tmp_path)
    assert json.loads((tmp_path / "scores.json").read_text())["scores"]["d_stsp"]["value"] == 0.1
    assert json.loads((tmp_path / "plan.json").read_text())["cell"] == {"kind": "gru"}
    subprocess.run([sys.executable, "-I", "reader.py"], cwd=tmp_path, check=True)
    run = np.loadtxt(tmp_path / "run.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(run[:100], np.load(tmp_path / "trajectory.npz")["x"][:100], rtol=0, atol=1e-10)


async def test_an_archive_holds_what_the_job_made_and_not_what_was_asked_of_its_model_later(
    client: httpx.AsyncClient, living: Living
) -> None:
    path = f"/v1/jobs/{living.ids.job_id}/archive.zip"
    before = (await client.get(path)).content
    made = await client.post(f"{living.path}/trajectories", json={"steps": 5})
    assert made.status_code == 201
    assert (await client.get(path)).content == before
    assert (await client.get(f"/v1/jobs/{living.ids.job_id}")).json()["trajectory_id"] == living.ids.trajectory_id


async def test_a_job_without_a_model_has_an_archive_of_what_it_has(client: httpx.AsyncClient, living: Living) -> None:
    await client.delete(living.path)
    answer = await client.get(f"/v1/jobs/{living.ids.job_id}/archive.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert set(packed.namelist()) == {"figures/attraktor für “x”.svg", "plan.json", "scores.json"}


async def test_an_unfinished_job_has_no_archive_yet(
    client: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    job_id = add_job(database, project_id, add_dataset(database, project_id))
    answer = await client.get(f"/v1/jobs/{job_id}/archive.zip")
    assert (answer.status_code, answer.json()["code"], answer.json()["current_status"]) == (
        409,
        "wrong_state",
        "queued",
    )


async def test_a_driven_model_is_told_of_and_exported_too(
    client: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    living = lives(database, project_id, a_fitted(small("lstm").model_copy(update={"inputs": 1})))
    content = (await client.get(f"{living.path}/content?format=onnx")).content
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [port.name for port in session.get_inputs()] == ["z", "u"]


async def test_bytes_that_are_no_model_are_refused(client: httpx.AsyncClient, walked: Walked) -> None:
    answer = await client.get(f"/v1/models/{walked.model_id}/content?format=onnx")
    assert (answer.status_code, answer.json()["code"]) == (422, "unreadable_file")
