"""What a key may do is decided in one place, so every route is asked with keys that may not."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from chaos_store import keys
from chaos_store.engine import Database, now
from tests.api.conftest import Walked

Issue = Any


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def issue(database: Database, project_id: str) -> Issue:
    def make(*scopes: str, expires_at: Any = None) -> dict[str, str]:
        with database.write.begin() as session:
            return bearer(keys.issue(session, project_id, "test", scopes=scopes, expires_at=expires_at)[1])

    return make


def routes(app: FastAPI) -> list[tuple[str, str, str]]:
    """Method, path and scope of every operation that wants a key, as the document tells it."""
    found = []
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            for requirement in operation.get("security", []):
                by_method = "read" if method in ("get", "head") else "write"
                found.append((method, path.replace("{", "").replace("}", ""), *(requirement["ApiKey"] or [by_method])))
    return found


async def test_every_route_refuses_a_key_without_its_scope_before_all_else(
    app: FastAPI, client: httpx.AsyncClient, issue: Issue
) -> None:
    found = routes(app)
    assert {scope for _, _, scope in found} == {"read", "write", "admin", "operator"}
    everything = {"read", "write", "admin", "operator"}
    for method, path, scope in found:
        json = {} if method in ("get", "head", "delete") else {"json": {}}
        answer = await client.request(method, path, headers=issue(*(everything - {scope})), **json)
        assert answer.status_code == 403, (method, path, answer.text)
        if method != "head":
            assert (answer.json()["code"], answer.json()["scope"]) == ("scope_missing", scope), (method, path)
        assert (await client.request(method, path, headers=bearer("none"), **json)).status_code == 401, (method, path)


async def test_a_key_that_only_reads_can_change_nothing_through_any_route(
    app: FastAPI, client: httpx.AsyncClient, issue: Issue
) -> None:
    readonly = issue("read")
    for method, path, scope in routes(app):
        json = {} if method in ("get", "head", "delete") else {"json": {}}
        answer = await client.request(method, path, headers=readonly, **json)
        assert (answer.status_code == 403) == (scope != "read"), (method, path, answer.status_code)


async def test_each_scope_does_what_it_says(client: httpx.AsyncClient, walked: Walked, issue: Issue) -> None:
    labels = {"labels": {"a": "b"}}
    expected = {"read": (200, 403, 403), "write": (403, 200, 403), "admin": (403, 403, 200)}
    for scope, statuses in expected.items():
        headers = issue(scope)
        job = f"/v1/jobs/{walked.job_id}"
        got = (
            (await client.get(job, headers=headers)).status_code,
            (await client.patch(job, headers=headers, json=labels)).status_code,
            (await client.get("/v1/api-keys", headers=headers)).status_code,
        )
        assert got == statuses, scope


async def test_an_expired_a_revoked_and_an_unknown_key_are_told_apart(
    client: httpx.AsyncClient, issue: Issue, database: Database, project_id: str
) -> None:
    expired = await client.get("/v1/jobs", headers=issue("read", expires_at=now() - 60.0))
    assert (expired.status_code, expired.json()["code"]) == (401, "unauthorized")
    assert expired.json()["detail"].startswith("the key expired at 20")
    with database.write.begin() as session:
        key, secret = keys.issue(session, project_id, "gone")
        keys.revoke(session, project_id, key.id)
    assert (await client.get("/v1/jobs", headers=bearer(secret))).json()["detail"] == "the key was revoked"
    assert (await client.get("/v1/jobs", headers=bearer("chaos_x"))).json()["detail"] == "the key is not known"
    assert (await client.get("/v1/jobs", headers={"Authorization": ""})).json()["detail"].endswith("carries no key")


async def test_a_key_is_cached_no_longer_than_it_lives(app: FastAPI, client: httpx.AsyncClient, issue: Issue) -> None:
    assert (await client.get("/v1/jobs", headers=issue("read", expires_at=now() + 5.0))).status_code == 200
    cache = app.state.context.keys
    assert max(until for until, _ in cache.entries.values()) - cache.clock() <= 5.0
