"""A key sees its own project and nothing else, on every route that takes an id."""

import re
import threading
import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event, select

from api.context import Context
from chaos_store import keys
from chaos_store.engine import Database
from chaos_store.tables import ApiKey
from tests.api.conftest import Walked, add_dataset
from tests.api.inhabitants import PUBLIC, ids_of


@pytest.fixture
def ids(database: Database, project_id: str, walked: Walked) -> dict[str, str]:
    return ids_of(database, project_id, walked)


def _routes(app: FastAPI) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and a body that the document gives as an example, of every route that takes an id."""
    paths = app.openapi()["paths"]
    return [
        (method, path, _body(app, paths[path][method]))
        for path in paths
        if "{" in path and not path.startswith(PUBLIC)
        for method in paths[path]
    ]


def _body(app: FastAPI, operation: dict[str, Any]) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return {"content": b"1"} if content else {}
    schema = content["application/json"]["schema"]
    named = next((part["$ref"] for part in [schema, *schema.get("anyOf", [])] if "$ref" in part), "")
    model = app.openapi()["components"]["schemas"][named.rpartition("/")[2]]
    return {"json": model["examples"][0]}


class Statements:
    """What the app asks the database."""

    def __init__(self, app: FastAPI) -> None:
        self.found: list[str] = []
        context: Context = app.state.context
        database = context.database
        engines = [database.reader.sync_engine, database.engine.sync_engine, context.bulk.reader, context.bulk.engine]
        for engine in {engine.pool: engine for engine in engines}.values():
            event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        if threading.current_thread().name != "ledger":
            self.found.append(statement)

    def take(self) -> list[str]:
        taken, self.found = self.found, []
        return taken


async def test_a_foreign_id_is_the_same_as_an_absent_one_on_every_route(
    app: FastAPI, stranger: httpx.AsyncClient, client: httpx.AsyncClient, ids: dict[str, str]
) -> None:
    routes, statements = _routes(app), Statements(app)
    assert len(routes) >= 36
    for both in (stranger, client):
        assert (await both.get("/v1/jobs")).status_code == 200
    for method, path, body in routes:
        absent_ids = {name: re.sub("[0-9a-f]{32}", "0" * 32, value) for name, value in ids.items()}
        statements.take()
        foreign = await stranger.request(method, path.format(**ids), **body)
        of_foreign = statements.take()
        absent = await stranger.request(method, path.format(**absent_ids), **body)
        of_absent = statements.take()
        assert (foreign.status_code, absent.status_code) == (404, 404), (method, path, foreign.text)
        assert of_foreign == of_absent != [], (method, path)
        if method != "head":
            assert foreign.json()["code"] == absent.json()["code"] == "not_found"
            assert set(foreign.json()) == set(absent.json())


@pytest.mark.parametrize("noun", ["datasets", "analyses", "jobs", "models", "trajectories", "uploads", "webhooks"])
async def test_lists_show_only_what_is_mine(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, ids: dict[str, str], noun: str
) -> None:
    assert (await client.get(f"/v1/{noun}")).json()["data"]
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
