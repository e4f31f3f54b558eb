"""Webhooks over HTTP: made, changed, tested, looked into, and nothing told that is secret."""

import logging
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook as Verifier

from chaos_store import deliveries
from chaos_store.deliveries import Outcome, Places, Schedule
from chaos_store.engine import Database
from chaos_store.settings import Settings
from tests.api.conftest import client_of
from tests.receivers import Receiver, answers
from tests.worker.hooked import Hooked, quick

BODY = {"url": "https://example.com/hook", "event_types": ["job.failed", "job.succeeded", "job.failed"]}
Json = dict[str, Any]


async def _make(client: httpx.AsyncClient, **words: Any) -> Json:
    answer = await client.post("/v1/webhooks", json=BODY | words)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


def _attempt(database: Database, outcome: Outcome) -> None:
    with database.write.begin() as session:
        for claim in deliveries.claim(session, Places(9, 9, 9), (), 60.0):
            deliveries.conclude(session, claim, outcome, Schedule((60.0,), 1e9))


async def test_the_secret_is_shown_when_it_is_made_and_never_again(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/webhooks", json=BODY)
    made = answer.json()
    assert (answer.headers["location"], answer.headers["cache-control"]) == (f"/v1/webhooks/{made['id']}", "no-store")
    assert made["id"].startswith("whk_") and made["secret"].startswith("whsec_")
    assert made["event_types"] == ["job.failed", "job.succeeded"] and made["enabled"] and not made["disabled_reason"]
    Verifier(made["secret"])
    got = await client.get(f"/v1/webhooks/{made['id']}")
    listed = await client.get("/v1/webhooks")
    assert got.json() == listed.json()["data"][0] == {name: made[name] for name in made if name != "secret"}
    assert made["secret"] not in got.text + listed.text


async def test_a_rotated_secret_is_another_and_the_old_one_has_its_time(client: httpx.AsyncClient) -> None:
    made = await _make(client)
    path = f"/v1/webhooks/{made['id']}/rotate-secret"
    rotated = (await client.post(path)).json()
    assert rotated["secret"] != made["secret"] and rotated["previous_secret_until"] is not None
    at_once = await client.post(path, json={"grace_s": 0})
    assert at_once.json()["previous_secret_until"] is None and at_once.headers["cache-control"] == "no-store"
    assert (await client.post(path, json={"grace_s": 1e9})).status_code == 422


async def test_what_a_change_leaves_out_stays(client: httpx.AsyncClient) -> None:
    made = await _make(client, description="first")
    path = f"/v1/webhooks/{made['id']}"
    changed = (await client.patch(path, json={"url": "https://example.org/", "event_types": None})).json()
    assert (changed["url"], changed["event_types"], changed["description"]) == ("https://example.org/", None, "first")
    disabled = (await client.patch(path, json={"enabled": False, "description": None})).json()
    assert not disabled["enabled"] and disabled["disabled_at"] and disabled["description"] is None
    enabled = (await client.patch(path, json={"enabled": True})).json()
    assert enabled["enabled"] and enabled["disabled_at"] is None
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {}, {"url": ""}, {"url": 7}, {"url": "https://example.com/", "events": ["job.failed"]},
        {"url": "https://example.com/", "event_types": []}, {"url": "https://example.com/", "event_types": ["job.*"]},
        {"url": "https://example.com/", "enabled": None}, {"url": "https://example.com/", "description": "a\nb"},
    ],
)  # fmt: skip
async def test_a_body_of_another_form_is_refused(client: httpx.AsyncClient, body: Json) -> None:
    answer = await client.post("/v1/webhooks", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("body", [{}, {"url": None}, {"enabled": None}, {"secret": "whsec_x"}])
async def test_a_change_of_another_form_is_refused(client: httpx.AsyncClient, body: Json) -> None:
    made = await _make(client)
    answer = await client.patch(f"/v1/webhooks/{made['id']}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "https://10.0.0.1/", "https://2130706433/", "https://u:planted@example.com/", "ftp://a/"],
)
async def test_a_url_that_is_plainly_wrong_is_refused_and_not_repeated(client: httpx.AsyncClient, url: str) -> None:
    made = await _make(client)
    for answer in (
        await client.post("/v1/webhooks", json={"url": url}),
        await client.patch(f"/v1/webhooks/{made['id']}", json={"url": url}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "webhook_url_refused")
        assert "planted" not in answer.text
    assert (await client.get(f"/v1/webhooks/{made['id']}")).json()["url"] == BODY["url"]


async def test_a_project_has_so_many_webhooks_and_no_more(service_settings: Settings, api_key: str) -> None:
    async with client_of(service_settings.model_copy(update={"max_webhooks": 2}), api_key) as client:
        assert (await client.get("/v1/limits")).json()["max_webhooks"] == 2
        for _ in range(2):
            await _make(client)
        answer = await client.post("/v1/webhooks", json=BODY)
        assert (answer.status_code, answer.json()["code"], answer.json()["limit"]) == (409, "too_many_webhooks", 2)


async def test_a_delivery_tells_what_is_sent_and_each_attempt(client: httpx.AsyncClient, database: Database) -> None:
    made = await _make(client)
    answer = await client.post(f"/v1/webhooks/{made['id']}/test")
    sent = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/v1/webhook-deliveries/{sent['id']}")
    assert (sent["status"], sent["type"], sent["attempt_count"]) == ("pending", "webhook.test", 0)
    _attempt(database, Outcome(0.25, 503, "status", None, "<script>later</script>"))
    log = (await client.get(answer.headers["location"])).json()
    assert (log["status"], log["reason"], log["attempt_count"]) == ("pending", "status", 1)
    assert log["next_attempt_at"] and log["payload"]["data"]["id"] == made["id"]
    [attempt] = log["attempts"]
    assert attempt.pop("started_at")
    assert attempt == {
        "number": 1,
        "duration_s": 0.25,
        "status_code": 503,
        "reason": "status",
        "detail": None,
        "answer": "<script>later</script>",
    }
    replayed = (await client.post(f"{answer.headers['location']}/retry")).json()
    assert replayed["event_id"] == sent["event_id"] and replayed["next_attempt_at"] < log["next_attempt_at"]
    _attempt(database, Outcome(0.1, 204))
    done = (await client.get(answer.headers["location"])).json()
    assert (done["status"], done["reason"], done["next_attempt_at"]) == ("succeeded", None, None)
    assert [found["number"] for found in done["attempts"]] == [1, 2]


async def test_deliveries_come_in_pages_and_by_status(client: httpx.AsyncClient, database: Database) -> None:
    path = f"/v1/webhooks/{(await _make(client))['id']}"
    done = (await client.post(f"{path}/test")).json()["id"]
    _attempt(database, Outcome(0.1, 204))
    open_ones = [(await client.post(f"{path}/test")).json()["id"] for _ in range(3)]
    first = (await client.get(f"{path}/deliveries?limit=3")).json()
    rest = (await client.get(f"{path}/deliveries?limit=3&cursor={first['next_cursor']}")).json()
    assert [row["id"] for row in first["data"] + rest["data"]] == [*reversed(open_ones), done]
    assert first["has_more"] and not rest["has_more"]
    for query, found in (
        ("status=succeeded", 1),
        ("status=pending", 3),
        ("status=failed", 0),
        ("event_type=job.failed", 0),
    ):
        assert len((await client.get(f"{path}/deliveries?{query}")).json()["data"]) == found
    for query in ("status=odd", "event_type=odd", "cursor=odd"):
        assert (await client.get(f"{path}/deliveries?{query}")).status_code == 422


async def test_nothing_is_sent_to_a_disabled_webhook(client: httpx.AsyncClient) -> None:
    path = f"/v1/webhooks/{(await _make(client))['id']}"
    sent = (await client.post(f"{path}/test")).json()
    await client.patch(path, json={"enabled": False})
    ended = (await client.get(sent["links"]["self"])).json()
    assert (ended["status"], ended["reason"], ended["attempts"]) == ("failed", "webhook_disabled", [])
    for refused in (f"{path}/test", sent["links"]["retry"]):
        answer = await client.post(refused)
        assert (answer.status_code, answer.json()["code"]) == (409, "webhook_disabled")


async def test_an_upload_that_is_read_at_once_is_told_with_a_signature(
    service_settings: Settings, api_key: str, database: Database, project_id: str
) -> None:
    """From the POST of a client to the receiver."""
    settings = quick(service_settings)
    with Receiver([answers(204)]) as receiver, Hooked(database, settings, project_id).sender():
        async with client_of(settings, api_key) as client:
            made = await _make(client, url=receiver.url, event_types=["dataset.ready"])
            rows = b"x,y\n" + b"".join(b"%d,%d\n" % (row, row * row % 97) for row in range(200))
            uploaded = await client.post("/v1/datasets", files={"file": ("s.csv", rows)}, data={"dt": "0.1"})
            assert uploaded.status_code == 201, uploaded.text
            [request] = receiver.wait()
    told = Verifier(made["secret"]).verify(request.body, request.headers)
    assert (told["type"], told["data"]["id"]) == ("dataset.ready", uploaded.json()["id"])


async def test_no_secret_is_in_a_log_or_an_error_of_the_database(
    client: httpx.AsyncClient, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """With a column away, the statement that holds the secret fails and is logged."""
    await _make(client)
    away, back = (f"ALTER TABLE webhook RENAME COLUMN {names}" for names in ("url TO u", "u TO url"))
    with database.write.begin() as session:
        session.connection().exec_driver_sql(away)
    with caplog.at_level(logging.DEBUG):
        answer = await client.post("/v1/webhooks", json=BODY | {"description": "planted"})
    with database.write.begin() as session:
        session.connection().exec_driver_sql(back)
    assert answer.status_code == 503 and "INSERT INTO webhook" in caplog.text
    assert "whsec_" not in caplog.text + answer.text and "planted" not in caplog.text + answer.text
