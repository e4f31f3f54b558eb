"""A key sees its own project and nothing else, on every route that takes an id."""

import re
import time

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from chaos_store import keys
from chaos_store.engine import Database
from chaos_store.tables import ApiKey
from tests.api.conftest import Walked, add_dataset

PUBLIC = {"/v1/problems/{code}"}
BODIES = {
    "/v1/jobs/{job_id}": {"priority": 1},
    "/v1/models/{model_id}": {"licence": "MIT"},
    "/v1/models/{model_id}/trajectories": {"steps": 1},
    "/v1/models/{model_id}/forecast": {"context": [[1.0]], "horizon": 1},
    "/v1/models/{model_id}/diagnostics": {},
}
"""Of routes that want one: a body that cannot be used is refused before anything is looked up."""


def _ids(walked: Walked, evaluation_id: str) -> dict[str, str]:
    names = ("dataset_id", "analysis_id", "job_id", "model_id", "trajectory_id")
    others = {"artifact_id": walked.figure_id, "evaluation_id": evaluation_id, "name": "attraktor für “x”.svg"}
    return {name: getattr(walked, name) for name in names} | others


def _routes(app: FastAPI) -> list[tuple[str, str]]:
    paths = app.openapi()["paths"]
    return [(method, path) for path in paths if "{" in path and path not in PUBLIC for method in paths[path]]


async def test_a_foreign_id_is_the_same_as_an_absent_one_on_every_route(
    app: FastAPI, stranger: httpx.AsyncClient, client: httpx.AsyncClient, walked: Walked
) -> None:
    body = {"true": {"dataset_id": walked.dataset_id}, "generated": {"trajectory_id": walked.trajectory_id}}
    evaluation = (await client.post("/v1/evaluations", json=body)).json()
    ids, routes = _ids(walked, evaluation["id"]), _routes(app)
    assert len(routes) >= 18
    for method, path in routes:
        body = {"json": BODIES[path]} if path in BODIES and method in ("post", "patch") else {}
        foreign = await stranger.request(method, path.format(**ids), **body)
        absent_ids = {name: re.sub("[0-9a-f]{32}", "0" * 32, value) for name, value in ids.items()}
        absent = await client.request(method, path.format(**absent_ids), **body)
        assert (foreign.status_code, absent.status_code) == (404, 404), (method, path)
        if method != "head":
            assert foreign.json()["code"] == absent.json()["code"] == "not_found"
            assert set(foreign.json()) == set(absent.json())


@pytest.mark.parametrize("noun", ["datasets", "analyses", "jobs", "models", "trajectories"])
async def test_lists_show_only_what_is_mine(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, walked: Walked, noun: str
) -> None:
    assert len((await client.get(f"/v1/{noun}")).json()["data"]) == 1
    assert (await stranger.get(f"/v1/{noun}")).json()["data"] == []


async def test_a_foreign_dataset_cannot_be_analysed(stranger: httpx.AsyncClient, walked: Walked) -> None:
    answer = await stranger.post("/v1/analyses", json={"dataset_id": walked.dataset_id})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_foreign_series_is_neither_scored_nor_the_truth(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, walked: Walked, database: Database, project_id: str
) -> None:
    with database.write.begin() as session:
        others = keys.create_project(session, "third").id
    mine, theirs = add_dataset(database, project_id), add_dataset(database, others)
    sides = [({"dataset_id": theirs}, {"dataset_id": mine}), ({"dataset_id": mine}, {"dataset_id": theirs})]
    for true, generated in sides:
        answer = await client.post("/v1/evaluations", json={"true": true, "generated": generated})
        assert (answer.status_code, answer.json()["id"]) == (404, theirs)
    body = {"true": {"dataset_id": walked.dataset_id}, "generated": {"trajectory_id": walked.trajectory_id}}
    made = (await client.post("/v1/evaluations", json=body)).json()
    assert [row["id"] for row in (await client.get("/v1/evaluations")).json()["data"]] == [made["id"]]
    assert (await stranger.get("/v1/evaluations")).json()["data"] == []


async def test_nothing_starts_from_a_foreign_model_or_checkpoint(
    stranger: httpx.AsyncClient, client: httpx.AsyncClient, walked: Walked, database: Database
) -> None:
    with database.read() as session:
        other = session.scalars(select(ApiKey.project_id).where(ApiKey.name == "other")).one()
    dataset_id = add_dataset(database, other)
    for start in ({"model_id": walked.model_id}, {"checkpoint_id": "ckpt_" + "0" * 32}):
        answer = await stranger.post("/v1/jobs", json={"dataset_id": dataset_id, "start_from": start})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_foreign_analysis_cannot_be_used(stranger: httpx.AsyncClient, walked: Walked) -> None:
    body = {"dataset_id": walked.dataset_id, "analysis_id": walked.analysis_id}
    assert (await stranger.post("/v1/jobs", json=body)).status_code == 404


async def test_a_revoked_key_is_refused_within_ten_seconds(
    app: FastAPI, database: Database, project_id: str, client: httpx.AsyncClient, api_key: str
) -> None:
    with database.write.begin() as session:
        key, secret = keys.issue(session, project_id, "short-lived")
    header = {"Authorization": f"Bearer {secret}"}
    assert (await client.get("/v1/jobs", headers=header)).status_code == 200
    with database.write.begin() as session:
        assert keys.revoke(session, project_id, key.id)
    app.state.context.keys.clock = lambda: time.monotonic() + 10.0
    assert (await client.get("/v1/jobs", headers=header)).status_code == 401
