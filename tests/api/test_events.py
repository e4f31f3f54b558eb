"""Events as they happen: one look for everybody who waits, each event once and in order."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import event, text

from api import watching
from api.app import create_app
from chaos_client.client import Client, Problem
from chaos_core.errors import Diverged
from chaos_store import commands, jobs, keys
from chaos_store.engine import Database
from chaos_store.settings import Settings
from tests.api.conftest import Walked, add_dataset, add_job, take

CLIENTS = 50
STREAM = {"Accept": "text/event-stream"}

Told = tuple[int, str, dict[str, Any]]


class Statements:
    """What the service asks of its database, with the moment."""

    def __init__(self, app: FastAPI) -> None:
        self.at: list[tuple[float, str]] = []
        database = app.state.context.database
        engines = {engine.pool: engine.sync_engine for engine in (database.engine, database.reader)}
        for engine in engines.values():
            event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.at.append((time.monotonic(), statement))

    def between(self, start: float, stop: float) -> list[str]:
        return [statement for moment, statement in self.at if start <= moment <= stop]


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The app behind a real server: only there do streams stream."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()
    yield f"http://{host}:{port}"
    app.state.context.stopping.set()
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def app(service_settings: Settings) -> FastAPI:
    """Opened and closed by the server, in its own thread."""
    return create_app(service_settings)


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    with served(app) as address:
        yield address


@pytest.fixture
async def client(url: str, api_key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with caller(url, api_key) as made:
        yield made


def caller(url: str, key: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, limits=limits, timeout=60)


@asynccontextmanager
async def listening(url: str, key: str, job_id: str, **headers: str) -> AsyncIterator[AsyncIterator[Told]]:
    async with (
        caller(url, key) as client,
        client.stream("GET", f"/v1/jobs/{job_id}/events", headers=STREAM | headers) as answer,
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        yield told(answer)


async def told(answer: httpx.Response) -> AsyncIterator[Told]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif not line:
            if "data" in fields:
                yield int(fields["id"]), fields["event"], json.loads(fields["data"])
            fields = {}


async def everything(url: str, key: str, job_id: str, **headers: str) -> list[Told]:
    async with listening(url, key, job_id, **headers) as events:
        return [item async for item in events]


@pytest.fixture
def job_id(database: Database, project_id: str) -> str:
    return add_job(database, project_id, add_dataset(database, project_id))


def run_through(database: Database, job_id: str) -> None:
    claim = take(database, job_id)
    for stage in ("analysing", "training"):
        with database.write.begin() as session:
            jobs.progress(session, claim, stage=stage)
    with database.write.begin() as session:
        jobs.succeed(session, claim)


async def test_a_finished_job_tells_all_its_events_and_ends(
    url: str, api_key: str, client: httpx.AsyncClient, walked: Walked
) -> None:
    page = (await client.get(f"/v1/jobs/{walked.job_id}/events")).json()["data"]
    heard = await everything(url, api_key, walked.job_id)
    assert [data for _, _, data in heard] == page
    assert [(seq, kind) for seq, kind, _ in heard] == [(row["seq"], row["type"]) for row in page]


async def test_a_listener_hears_what_happens_and_the_stream_ends_with_the_job(
    url: str, api_key: str, database: Database, job_id: str
) -> None:
    hearing = asyncio.create_task(everything(url, api_key, job_id))
    await asyncio.sleep(0.4)
    await asyncio.to_thread(run_through, database, job_id)
    heard = await asyncio.wait_for(hearing, 10)
    words = [data["data"].get("status") or data["data"]["stage"] for _, _, data in heard]
    assert words == ["queued", "running", "analysing", "training", "succeeded"]


async def test_a_stream_goes_on_after_the_last_event_seen(url: str, api_key: str, walked: Walked) -> None:
    whole = await everything(url, api_key, walked.job_id)
    for place in range(len(whole) - 1):
        rest = await everything(url, api_key, walked.job_id, **{"Last-Event-ID": str(whole[place][0])})
        assert rest == whole[place + 1 :]


async def test_nothing_left_to_tell_is_204_so_that_a_browser_stays_away(
    client: httpx.AsyncClient, walked: Walked
) -> None:
    path = f"/v1/jobs/{walked.job_id}/events"
    last = (await client.get(path)).json()["data"][-1]["seq"]
    assert (await client.get(path, headers=STREAM | {"Last-Event-ID": str(last)})).status_code == 204
    assert (await client.get(path, headers=STREAM, params={"after": last})).status_code == 204


@pytest.mark.parametrize("given", ["x", "-1", "1.5", str(2**70)])
async def test_a_number_that_is_none_of_ours_is_refused(client: httpx.AsyncClient, walked: Walked, given: str) -> None:
    path = f"/v1/jobs/{walked.job_id}/events"
    for words in ({"headers": STREAM | {"Last-Event-ID": given}}, {"headers": STREAM, "params": {"after": given}}):
        answer = await client.get(path, **words)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_job_of_another_project_is_not_found_also_while_its_owner_listens(
    url: str, api_key: str, database: Database, job_id: str
) -> None:
    with database.write.begin() as session:
        foreign = keys.issue(session, keys.create_project(session, "other").id, "other")[1]
    async with (
        listening(url, api_key, job_id) as events,
        caller(url, foreign) as stranger,
    ):
        await anext(events)
        for path, headers in ((f"/v1/jobs/{job_id}/events", STREAM), (f"/v1/jobs/{job_id}?wait=20", {})):
            answer = await stranger.get(path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_fifty_who_wait_cost_four_looks_a_second_and_all_hear_the_same(
    app: FastAPI, url: str, api_key: str, client: httpx.AsyncClient, database: Database, job_id: str
) -> None:
    statements = Statements(app)
    polls = [asyncio.create_task(client.get(f"/v1/jobs/{job_id}", params={"wait": 30})) for _ in range(CLIENTS)]
    streams = [asyncio.create_task(everything(url, api_key, job_id)) for _ in range(CLIENTS)]
    while app.state.context.watch.listeners() < 2 * CLIENTS:
        await asyncio.sleep(0.05)
    start = time.monotonic()
    await asyncio.sleep(2.0)
    await asyncio.to_thread(run_through, database, job_id)
    answers, heard = await asyncio.gather(*polls), await asyncio.gather(*streams)
    stop = time.monotonic()
    found = statements.between(start, stop)
    assert 4 <= len(found) <= 4 * (stop - start) + 1, found
    assert {answer.json()["status"] for answer in answers} == {"succeeded"}
    assert all(events == heard[0] for events in heard)
    assert [kind for _, kind, _ in heard[0]] == ["status", "status", "stage", "stage", "status"]
    quiet = time.monotonic()
    await asyncio.sleep(0.6)
    assert statements.between(quiet, time.monotonic()) == []


async def test_one_who_leaves_is_not_listened_for_any_more(app: FastAPI, url: str, api_key: str, job_id: str) -> None:
    async with listening(url, api_key, job_id) as events:
        await anext(events)
        assert app.state.context.watch.listeners() == 1
    for _ in range(100):
        await asyncio.sleep(0.05)
        if not app.state.context.watch.listeners():
            return
    pytest.fail("the listener is still counted")


async def test_a_stopping_service_ends_streams(app: FastAPI, url: str, api_key: str, job_id: str) -> None:
    async with listening(url, api_key, job_id) as events:
        await anext(events)
        app.state.context.stopping.set()
        assert [item async for item in events] == []


async def test_a_quiet_stream_is_kept_open_by_comments(
    client: httpx.AsyncClient, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.events.HEARTBEAT_S", 0.1)
    async with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=STREAM) as answer:
        comments = [line async for line in _some_comments(answer)]
    assert comments == [": the job goes on"] * 3


async def _some_comments(answer: httpx.Response) -> AsyncIterator[str]:
    count = 0
    async for line in answer.aiter_lines():
        if line.startswith(":"):
            yield line
            count += 1
            if count == 3:
                return


async def test_a_job_that_is_deleted_ends_its_streams_and_waits(
    url: str, api_key: str, client: httpx.AsyncClient, database: Database, project_id: str, job_id: str
) -> None:
    async with listening(url, api_key, job_id) as events:
        await anext(events)
        waiting = asyncio.create_task(client.get(f"/v1/jobs/{job_id}", params={"wait": 20}))
        await asyncio.sleep(0.5)
        with database.write.begin() as session:
            commands.request_cancel(session, project_id, job_id)
            commands.delete(session, project_id, job_id)
        assert [item async for item in events] == []
        assert (await waiting).status_code == 404


async def test_an_answer_to_a_wait_is_never_older_than_the_question(
    url: str, api_key: str, client: httpx.AsyncClient, job_id: str
) -> None:
    async with listening(url, api_key, job_id):
        for command, status in (
            ("pause", "paused"),
            ("resume", "queued"),
            ("cancel", "cancelled"),
            ("retry", "queued"),
        ):
            await client.post(f"/v1/jobs/{job_id}/{command}")
            answer = await client.get(f"/v1/jobs/{job_id}", params={"wait": 0.001})
            assert answer.json()["status"] == status


@pytest.mark.parametrize("kept", [3, 1000])
async def test_more_events_than_a_look_brings_or_the_service_keeps_come_whole(
    url: str, api_key: str, database: Database, job_id: str, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(watching, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(watching, "EVENTS_KEPT", kept)
    claim = take(database, job_id)
    for number in range(20):
        with database.write.begin() as session:
            jobs.record_event(session, claim, "note", {"number": number})
    with database.write.begin() as session:
        jobs.fail(session, claim, Diverged("the loss is nan", update=5).problem())
    whole, late = await asyncio.gather(
        everything(url, api_key, job_id), everything(url, api_key, job_id, **{"Last-Event-ID": "10"})
    )
    assert [data["data"]["number"] for _, kind, data in whole if kind == "note"] == list(range(20))
    assert (len(whole), whole[-1][2]["data"]["code"]) == (23, "diverged")
    assert late == [item for item in whole if item[0] > 10]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
async def test_a_database_that_is_away_is_told_to_who_waits_and_streams_outlive_it(
    url: str, api_key: str, client: httpx.AsyncClient, database: Database, job_id: str
) -> None:
    async with listening(url, api_key, job_id) as events:
        await anext(events)
        waiting = asyncio.create_task(client.get(f"/v1/jobs/{job_id}", params={"wait": 20}))
        await asyncio.sleep(0.4)
        with database.engine.begin() as connection:
            connection.execute(text("ALTER TABLE job_event RENAME TO elsewhere"))
        problem = (await waiting).json()
        assert (problem["status"], problem["code"]) == (503, "database_unavailable")
        with database.engine.begin() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO job_event"))
        await client.post(f"/v1/jobs/{job_id}/cancel")
        assert [data["data"]["status"] async for _, _, data in events] == ["cancelled"]


async def test_the_python_client_follows_a_job_to_its_end(
    url: str, api_key: str, database: Database, job_id: str
) -> None:
    def follow() -> list[dict[str, Any]]:
        with Client(url, api_key) as client:
            return list(client.events(job_id))

    following = asyncio.create_task(asyncio.to_thread(follow))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(run_through, database, job_id)
    found = await asyncio.wait_for(following, 10)
    assert [event["type"] for event in found] == ["status", "status", "stage", "stage", "status"]
    assert await asyncio.to_thread(follow) == found


async def test_the_python_client_clones_revises_and_validates(url: str, api_key: str, walked: Walked) -> None:
    def walk() -> None:
        with Client(url, api_key) as client:
            twin = client.clone(walked.job_id, seed=5, spec={"training": {"updates": 10}})
            assert (twin["seed"], twin["spec"]) == (5, {"training": {"updates": 10}})
            assert client.update(twin["id"], labels={"a": "b"}, priority=3)["priority"] == 3
            with pytest.raises(Problem) as refusal:
                client.validate("ds_none")
            assert refusal.value.code == "not_found"
            with pytest.raises(Problem) as refusal:
                list(client.events("job_none"))
            assert refusal.value.code == "not_found"

    await asyncio.to_thread(walk)
