"""Keys that look after keys: no more is granted than there is, and nobody locks himself out."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from chaos_store import keys
from chaos_store.engine import Database
from chaos_store.tables import ApiKey
from tests.api.test_scopes import bearer

SOON = (datetime.now(UTC) + timedelta(days=1)).isoformat()
LATER = (datetime.now(UTC) + timedelta(days=2)).isoformat()


async def make(client: httpx.AsyncClient, *scopes: str, **words: Any) -> Any:
    answer = await client.post("/v1/api-keys", json={"name": "k", "scopes": scopes, **words})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_key_is_made_used_listed_changed_and_revoked(client: httpx.AsyncClient, database: Database) -> None:
    answer = await client.post("/v1/api-keys", json={"name": "dash", "scopes": ["read"], "expires_at": SOON})
    made = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert answer.headers["location"] == made["links"]["self"] == f"/v1/api-keys/{made['id']}"
    assert (made["scopes"], made["status"], made["object"]) == (["read"], "active", "api_key")
    header = bearer(made["secret"])
    assert (await client.get("/v1/jobs", headers=header)).status_code == 200

    one = (await client.get(made["links"]["self"])).json()
    assert "secret" not in one
    assert one == {name: value for name, value in made.items() if name != "secret"}
    page = (await client.get("/v1/api-keys", params={"limit": 1})).json()
    assert (page["data"], page["has_more"]) == ([one], True)

    patched = await client.patch(made["links"]["self"], json={"name": "tv", "scopes": ["write"], "expires_at": None})
    assert (patched.json()["name"], patched.json()["scopes"], patched.json()["expires_at"]) == ("tv", ["write"], None)
    assert (await client.get("/v1/jobs", headers=header)).status_code == 403

    assert (await client.delete(made["links"]["self"])).status_code == 204
    assert (await client.delete(made["links"]["self"])).status_code == 204
    assert (await client.get("/v1/jobs", headers=header)).status_code == 401
    gone = (await client.get(made["links"]["self"])).json()
    assert (gone["status"], gone["revoked_at"] is not None) == ("revoked", True)
    with database.read() as session:
        stored = session.get_one(ApiKey, made["id"])
        assert made["secret"] not in [getattr(stored, column.key) for column in ApiKey.__table__.columns]


async def test_nothing_is_granted_that_the_granter_lacks(client: httpx.AsyncClient) -> None:
    refused = await client.post("/v1/api-keys", json={"name": "k", "scopes": ["read", "operator"]})
    assert (refused.status_code, refused.json()["code"], refused.json()["scope"]) == (403, "scope_missing", "operator")
    narrow = bearer((await make(client, "admin", expires_at=SOON))["secret"])
    other = await make(client, "write")
    for method, path, body, code in (
        ("POST", "/v1/api-keys", {"name": "k", "scopes": ["read"]}, "scope_missing"),
        ("POST", "/v1/api-keys", {"name": "k", "scopes": ["admin"]}, "key_outlives"),
        ("POST", "/v1/api-keys", {"name": "k", "scopes": ["admin"], "expires_at": LATER}, "key_outlives"),
        ("PATCH", other["links"]["self"], {"scopes": ["write", "read"]}, "scope_missing"),
        ("PATCH", other["links"]["self"], {"scopes": ["write", "admin"]}, "key_outlives"),
    ):
        answer = await client.request(method, path, headers=narrow, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, code), (body, answer.text)
    within = {"name": "k", "scopes": ["admin"], "expires_at": SOON}
    assert (await client.post("/v1/api-keys", headers=narrow, json=within)).status_code == 201


async def test_a_key_that_ends_is_not_brought_back_by_one_that_has_less(client: httpx.AsyncClient) -> None:
    wide = await make(client, "read", "write", expires_at=SOON)
    narrow = bearer((await make(client, "admin"))["secret"])
    answer = await client.patch(wide["links"]["self"], headers=narrow, json={"expires_at": None})
    assert (answer.status_code, answer.json()["scope"]) == (403, "read")


async def test_what_was_cached_grants_nothing_once_the_key_itself_is_gone(
    app: FastAPI, client: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    made = await make(client, "admin", "read")
    header = bearer(made["secret"])
    assert (await client.get("/v1/jobs", headers=header)).status_code == 200
    with database.write.begin() as session:
        assert keys.revoke(session, project_id, made["id"])
    answer = await client.post("/v1/api-keys", headers=header, json={"name": "k", "scopes": ["read"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


@pytest.mark.parametrize("body", [{"scopes": ["read", "write"]}, {"expires_at": SOON}, None])
async def test_the_last_admin_key_cannot_lock_itself_out(client: httpx.AsyncClient, body: Any) -> None:
    [own] = (await client.get("/v1/api-keys")).json()["data"]
    await make(client, "read", "write")

    async def leave() -> httpx.Response:
        path = own["links"]["self"]
        return await (client.delete(path) if body is None else client.patch(path, json=body))

    refused = await leave()
    assert (refused.status_code, refused.json()["code"], refused.json()["id"]) == (409, "last_admin_key", own["id"])
    assert (await client.patch(own["links"]["self"], json={"name": "mine"})).status_code == 200
    await make(client, "admin")
    assert (await leave()).status_code in (200, 204)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"scopes": []},
        {"scopes": ["root"]},
        {"name": ""},
        {"name": None},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2036-01-01T00:00:00"},
        {"secret": "x"},
    ],
)
async def test_a_mistake_in_a_change_changes_nothing(client: httpx.AsyncClient, body: Any) -> None:
    made = await make(client, "read")
    answer = await client.patch(made["links"]["self"], json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    del made["secret"]
    assert (await client.get(made["links"]["self"])).json() == made


async def test_the_last_use_is_written_at_most_once_a_minute(
    app: FastAPI, client: httpx.AsyncClient, database: Database
) -> None:
    made = await make(client, "read")
    header, ledger = bearer(made["secret"]), app.state.context.ledger

    async def last_used() -> str | None:
        found: str | None = (await client.get(made["links"]["self"])).json()["last_used_at"]
        return found

    assert await last_used() is None
    for _ in range(3):
        await client.get("/v1/jobs", headers=header)
    await asyncio.to_thread(ledger.flush)
    first = await last_used()
    assert first is not None
    await client.get("/v1/jobs", headers=header)
    await asyncio.to_thread(ledger.flush)
    assert await last_used() == first
    with database.write.begin() as session:
        session.get_one(ApiKey, made["id"]).last_used_at -= 100.0
    await client.get("/v1/jobs", headers=header)
    await asyncio.to_thread(ledger.flush)
    assert await last_used() >= first
