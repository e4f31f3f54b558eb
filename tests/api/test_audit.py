"""Who did what: every change and every refusal, and never a secret."""

import asyncio
import json
import logging
from collections import Counter
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text

from api.ledger import STRANGERS
from chaos_store import audit, keys
from chaos_store.engine import Database
from chaos_store.scopes import ALL
from chaos_store.settings import Settings
from chaos_store.tables import ApiKey, AuditEvent
from tests.api.conftest import Walked, client_of
from tests.api.test_scopes import bearer


async def events(app: FastAPI, client: httpx.AsyncClient, **params: Any) -> Any:
    await asyncio.to_thread(app.state.context.ledger.flush)
    answer = await client.get("/v1/audit-events", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_changes_and_refusals_are_written_and_reading_is_not(
    app: FastAPI, client: httpx.AsyncClient, stranger: httpx.AsyncClient, walked: Walked, database: Database,
    project_id: str,
) -> None:  # fmt: skip
    with database.write.begin() as session:
        reader, secret = keys.issue(session, project_id, "reader", scopes=["read"])
    await client.get("/v1/jobs")
    job = (await client.post("/v1/jobs", json={"dataset_id": walked.dataset_id}, headers={"X-Request-Id": "r1"})).json()
    await client.delete(f"/v1/jobs/{job['id']}")
    await client.post(f"/v1/jobs/{job['id']}/cancel", headers=bearer(secret))
    await client.get("/v1/jobs", headers=bearer("unknown"))
    await stranger.delete(f"/v1/jobs/{job['id']}")
    found = await events(app, client)
    [own] = {event["key_id"] for event in found} - {reader.id}
    told = [(event["method"], event["route"], event["status"], event["code"], event["key_id"]) for event in found]
    assert told == [
        ("POST", "/v1/jobs/{job_id}/cancel", 403, "scope_missing", reader.id),
        ("DELETE", "/v1/jobs/{job_id}", 409, "job_not_deletable", own),
        ("POST", "/v1/jobs", 202, None, own),
    ]
    assert {event["resource_id"] for event in found} == {job["id"]}
    assert (found[2]["request_id"], found[2]["address"]) == ("r1", "127.0.0.1")
    assert [event["code"] for event in await events(app, client, code="scope_missing")] == ["scope_missing"]
    assert len(await events(app, client, key_id=own, method="POST", status=202, request_id="r1")) == 1
    page = (await client.get("/v1/audit-events", params={"limit": 2})).json()
    rest = await client.get("/v1/audit-events", params={"limit": 2, "cursor": page["next_cursor"]})
    assert [event["id"] for event in page["data"] + rest.json()["data"]] == [event["id"] for event in found]


async def test_an_operator_also_sees_refusals_of_nobody(
    app: FastAPI, client: httpx.AsyncClient, database: Database
) -> None:
    with database.write.begin() as session:
        own = keys.create_project(session, "operators")
        operator = bearer(keys.issue(session, own.id, "operator", scopes=ALL)[1])
    await client.get("/v1/jobs", headers=bearer("unknown"))
    assert await events(app, client) == []
    [event] = (await client.get("/v1/audit-events", headers=operator)).json()["data"]
    assert (event["project_id"], event["key_id"], event["status"], event["code"]) == (None, None, 401, "unauthorized")


async def test_whoever_has_no_valid_key_cannot_fill_the_log(
    app: FastAPI, client: httpx.AsyncClient, database: Database, project_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    with database.write.begin() as session:
        revoked, secret = keys.issue(session, project_id, "revoked")
        keys.revoke(session, project_id, revoked.id)
    for number in range(STRANGERS.amount):
        given = bearer(secret if number % 2 else f"unknown-{number}")
        for _ in range(2):
            assert (await client.get("/v1/jobs", headers=given)).status_code == 401
    await client.delete("/v1/jobs/job_none")
    await asyncio.to_thread(app.state.context.ledger.flush)
    with database.read() as session:
        statuses = Counter(session.scalars(select(AuditEvent.status)))
    assert statuses == {401: STRANGERS.amount, 404: 1}
    told = [record.args for record in caplog.records if "left out of the audit log" in record.msg]
    assert sum(count for (count,) in told) == STRANGERS.amount


async def test_no_secret_and_nothing_that_was_sent_is_kept_or_logged(
    app: FastAPI, client: httpx.AsyncClient, api_key: str, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        made = (await client.post("/v1/api-keys", json={"name": "planted-name", "scopes": ["admin"]})).json()
        await client.post("/v1/jobs?planted-query=1", json={"dataset_id": "planted-body"})
        await client.get("/v1/jobs", headers=bearer("planted-key"))
        await client.get("/v1/jobs", headers={"Authorization": "Basic planted-basic"})
        logged = " ".join(record.getMessage() for record in caplog.records if record.name != "httpx")
        kept = json.dumps(await events(app, client))
    with database.read() as session:
        rows = session.scalars(select(AuditEvent)).all()
        stored = " ".join(str(getattr(row, column.key)) for row in rows for column in AuditEvent.__table__.columns)
        hashes = " ".join(session.scalars(select(ApiKey.secret_sha256)).all())
    assert len(rows) == 4
    for text_kept in (kept, stored, hashes, logged):
        for secret in (api_key, made["secret"], "planted-key", "planted-basic", "planted-query"):
            assert secret not in text_kept
    assert "planted" not in kept + stored


async def test_what_is_noted_is_written_when_the_service_stops(
    service_settings: Settings, api_key: str, database: Database
) -> None:
    async with client_of(service_settings, api_key) as client:
        await client.delete("/v1/jobs/job_none")
    with database.read() as session:
        assert [row.route for row in session.scalars(select(AuditEvent))] == ["/v1/jobs/{job_id}"]
        assert session.scalars(select(ApiKey.last_used_at)).one() is not None


async def test_while_the_table_is_away_events_wait_and_requests_pass(
    app: FastAPI, client: httpx.AsyncClient, database: Database
) -> None:
    with database.write.begin() as session:
        session.execute(text("ALTER TABLE audit_event RENAME TO elsewhere"))
    for _ in range(3):
        assert (await client.delete("/v1/jobs/job_none")).status_code == 404
    ledger = app.state.context.ledger
    await asyncio.to_thread(ledger._try, ledger._write_events)
    with database.write.begin() as session:
        session.execute(text("ALTER TABLE elsewhere RENAME TO audit_event"))
    assert len(await events(app, client)) == 3


def test_old_events_are_forgotten(database: Database, project_id: str) -> None:
    entry: audit.Entry = {
        "project_id": project_id, "key_id": "k", "request_id": "r", "address": None, "method": "POST", "route": "/",
        "status": 201, "code": None, "resource_id": None, "age_s": 0.0,
    }  # fmt: skip
    with database.write.begin() as session:
        audit.add(session, [entry | {"age_s": age} for age in (0.0, 50.0, 500.0)])
        assert audit.forget(session, 100.0) == 1
        assert len(session.scalars(audit.page(project_id, place={})).all()) == 2
