"""A full queue, a full disk, a database that dies in mid-request, damaged bytes: answered, and never half a row."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from sqlalchemy import event, func, select, text, update

from api.content import VERIFIED_BYTES
from chaos_store import artifacts
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import AnalysisRow, Blob, BlobChunk, Dataset, Job, JobEvent
from tests.api.conftest import MODEL_BYTES, Walked, client_of, walk
from tests.servers import PostgresServer

SMALL = b"a,b\n" + b"".join(b"%.3f,%.3f\n" % (np.sin(i), np.cos(0.3 * i)) for i in range(64))
BIG = SMALL * 40
SQLITE_ONLY = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
POSTGRES_ONLY = pytest.mark.parametrize("settings", ["postgres"], indirect=True)

Request = Callable[[httpx.AsyncClient, Walked], Any]


def upload(content: bytes) -> Request:
    return lambda client, _: client.post("/v1/datasets", files={"file": ("a.csv", content)})


def post(path: str, **more: Any) -> Request:
    return lambda client, walked: client.post(path, json={"dataset_id": walked.dataset_id, **more})


CREATIONS: dict[str, Request] = {
    "job": post("/v1/jobs"),
    "analysis": post("/v1/analyses", fresh=True),
    "small upload": upload(SMALL),
    "big upload": upload(BIG),
}
WAITING = {name: CREATIONS[name] for name in ("job", "analysis", "big upload")}


def rows(database: Database) -> list[int]:
    with database.read() as session:
        tables = (Job, JobEvent, AnalysisRow, Dataset, Blob, BlobChunk)
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


@pytest.fixture
async def narrow(service_settings: Settings, api_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A service in which two jobs may wait, and that reads files of up to 1000 bytes at once."""
    limits = {"max_queued_jobs": 2, "inline_upload_bytes": 1000}
    async with client_of(service_settings.model_copy(update=limits), api_key) as client:
        yield client


async def test_a_full_queue_refuses_everything_that_would_wait(
    narrow: httpx.AsyncClient, walked: Walked, database: Database
) -> None:
    first = (await WAITING["job"](narrow, walked)).json()
    assert (await WAITING["analysis"](narrow, walked)).status_code == 202
    before = rows(database)[:4]
    for name, request in WAITING.items():
        answer = await request(narrow, walked)
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_full"), name
        assert (answer.json()["value"], answer.json()["limit"], answer.headers["retry-after"]) == (2, 2, "5")
    assert rows(database)[:4] == before
    assert (await upload(SMALL)(narrow, walked)).status_code == 201
    await narrow.post(f"/v1/jobs/{first['id']}/cancel")
    assert (await WAITING["job"](narrow, walked)).status_code == 202


async def test_an_upload_that_would_cross_the_limit_is_refused_before_it_is_read(
    service_settings: Settings, api_key: str, database: Database
) -> None:
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        for _ in range(100):
            read.append(b"x")
            yield b"x" * 1000

    headers = {"Content-Type": "multipart/form-data; boundary=y", "Content-Length": "100000"}
    async with client_of(service_settings.model_copy(update={"max_blob_bytes": 50_000}), api_key) as client:
        answer = await client.post("/v1/datasets", content=body(), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
        assert (answer.json()["limit"], answer.headers["retry-after"], read) == (50_000, "30", [])
        unannounced = {name: value for name, value in headers.items() if name != "Content-Length"}
        form = b'--y\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + b"1\n" * 30_000

        async def pieces() -> AsyncIterator[bytes]:
            yield form + b"\r\n--y--\r\n"

        late = await client.post("/v1/datasets", content=pieces(), headers=unannounced)
        assert (late.status_code, late.json()["code"]) == (507, "storage_full")
        assert rows(database) == [0] * 6
        assert (await client.post("/v1/datasets", files={"file": ("a.csv", SMALL)})).status_code == 201


@contextmanager
def full(app: FastAPI, database: Database) -> Iterator[None]:
    """SQLite may not grow by a page; Postgres says what it says on a full disk."""
    context = app.state.context
    if database.engine.dialect.name == "sqlite":
        with database.read() as session:
            pages = session.scalar(text("PRAGMA page_count"))

        def stop_growing(connection: Any, *_: Any) -> None:
            connection.cursor().execute(f"PRAGMA max_page_count={pages}")

        engines = [context.bulk.engine, context.database.engine.sync_engine]
        for engine in engines:
            event.listen(engine, "checkout", stop_growing)
        yield
        for engine in engines:
            event.remove(engine, "checkout", stop_growing)
            event.listen(engine, "checkout", lambda c, *_: c.cursor().execute("PRAGMA max_page_count=1000000"))
        return
    with trigger(database, "RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'"):
        yield


@contextmanager
def trigger(database: Database, statement: str, *, at_commit: bool = False) -> Iterator[None]:
    """Postgres does it when a row of a job's event or of a chunk is written, or when that is committed."""
    kind = "CONSTRAINT TRIGGER trouble AFTER INSERT" if at_commit else "TRIGGER trouble AFTER INSERT"
    timing = "DEFERRABLE INITIALLY DEFERRED" if at_commit else ""
    with database.write.begin() as session:
        body = f"CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {statement}; RETURN NEW; END$$"
        session.execute(text(body))
        for table in ("job_event", "blob_chunk"):
            session.execute(text(f"CREATE {kind} ON {table} {timing} FOR EACH ROW EXECUTE FUNCTION trouble()"))
    yield
    with database.write.begin() as session:
        session.execute(text("DROP FUNCTION trouble() CASCADE"))


LARGE = SMALL[:4] + b"".join(b"%.9f,%.9f\n" % (np.sin(i), np.cos(0.3 * i)) for i in range(20_000))


@pytest.mark.parametrize("name", ["job", "analysis", "upload"])
async def test_a_full_disk_is_said_and_leaves_nothing_and_passes(
    app: FastAPI, client: httpx.AsyncClient, walked: Walked, database: Database, name: str
) -> None:
    request = upload(LARGE) if name == "upload" else CREATIONS[name]
    before = rows(database)
    with full(app, database):
        for _ in range(200):
            answer = await request(client, walked)
            if answer.status_code != 202:
                break
            before = rows(database)
        assert (answer.status_code, answer.json()["code"]) == (507, "storage_full"), answer.text
        assert int(answer.headers["retry-after"]) > 0
        assert (await client.get(f"/v1/jobs/{walked.job_id}")).status_code == 200
    assert rows(database) == before
    assert (await request(client, walked)).status_code in (201, 202)


@POSTGRES_ONLY
@pytest.mark.parametrize("at_commit", [False, True], ids=["in mid-transaction", "at its end"])
@pytest.mark.parametrize("name", CREATIONS)
async def test_a_connection_lost_in_mid_request_is_503_and_leaves_no_half_a_row(
    service_settings: Settings, api_key: str, walked: Walked, database: Database, name: str, at_commit: bool
) -> None:
    before = rows(database)
    async with client_of(service_settings.model_copy(update={"inline_upload_bytes": 1000}), api_key) as client:
        with trigger(database, "PERFORM pg_terminate_backend(pg_backend_pid())", at_commit=at_commit):
            answer = await CREATIONS[name](client, walked)
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable"), answer.text
            assert int(answer.headers["retry-after"]) > 0
        assert rows(database) == before
        assert (await CREATIONS[name](client, walked)).status_code in (201, 202)


@POSTGRES_ONLY
async def test_a_command_whose_connection_is_lost_did_not_happen(
    client: httpx.AsyncClient, walked: Walked, database: Database
) -> None:
    job = (await CREATIONS["job"](client, walked)).json()
    for command, after in (("pause", "queued"), ("cancel", "queued")):
        with trigger(database, "PERFORM pg_terminate_backend(pg_backend_pid())"):
            answer = await client.post(f"/v1/jobs/{job['id']}/{command}")
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert (await client.get(f"/v1/jobs/{job['id']}")).json()["status"] == after


@pytest.fixture
def empty_settings(request: pytest.FixtureRequest, tmp_path: Any, broker_url: str) -> Iterator[Settings]:
    if request.param == "sqlite":
        yield Settings(data_dir=tmp_path / "empty", broker_url=broker_url)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.empty() as url:
        yield Settings(data_dir=tmp_path, database_url=url, broker_url=broker_url)


@pytest.mark.parametrize("empty_settings", ["sqlite", "postgres"], indirect=True)
async def test_a_database_that_is_not_migrated_is_503_and_says_what_to_do(empty_settings: Settings) -> None:
    async with client_of(empty_settings, "any") as client:
        answer = await client.get("/v1/jobs")
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert "chaos_store migrate" in answer.json()["detail"]
        assert (await client.get("/readyz")).json()["checks"]["migrations"].startswith("pending")


async def test_a_broker_that_is_away_refuses_no_job(settings: Settings, api_key: str, walked: Walked) -> None:
    away = settings.model_copy(update={"broker_url": "redis+socket:///nowhere/broker.sock"})
    async with client_of(away, api_key) as client:
        made = (await CREATIONS["job"](client, walked)).json()
        for command, status in (
            ("pause", "paused"),
            ("resume", "queued"),
            ("cancel", "cancelled"),
            ("retry", "queued"),
        ):
            assert (await client.post(f"/v1/jobs/{made['id']}/{command}")).json()["status"] == status
        assert (await client.get("/readyz")).json()["checks"]["broker"] == "does not answer"


def flip(database: Database, sha256: str, index: int = 0) -> None:
    with database.write.begin() as session:
        content = session.scalars(select(Blob.content).where(Blob.sha256 == sha256)).one()
        mine = (BlobChunk.content == content, BlobChunk.idx == index)
        data = bytearray(session.scalars(select(BlobChunk.data).where(*mine)).one())
        data[100] ^= 1
        session.execute(update(BlobChunk).where(*mine).values(data=bytes(data)))


@pytest.mark.parametrize("index", [0, 1])
async def test_a_flipped_byte_is_refused_before_the_first_byte_of_whole_and_range(
    client: httpx.AsyncClient, walked: Walked, database: Database, index: int
) -> None:
    model = (await client.get(f"/v1/models/{walked.model_id}")).json()
    flip(database, model["sha256"], index)
    for headers in ({}, {"Range": "bytes=0-9"}):
        answer = await client.get(model["links"]["content"], headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (500, "blob_corrupt")
        assert answer.json()["sha256"] == model["sha256"]
        assert "content-disposition" not in answer.headers and "etag" not in answer.headers
    assert (await client.get(f"/v1/artifacts/{walked.figure_id}/content")).status_code == 200


async def test_a_missing_chunk_is_refused_too(client: httpx.AsyncClient, walked: Walked, database: Database) -> None:
    with database.write.begin() as session:
        session.execute(text("DELETE FROM blob_chunk WHERE idx = 1"))
    answer = await client.get(f"/v1/models/{walked.model_id}/content")
    assert (answer.status_code, answer.json()["code"]) == (500, "blob_corrupt")


async def test_the_same_bytes_sent_again_heal_them(
    client: httpx.AsyncClient, database: Database, project_id: str, walked: Walked
) -> None:
    model = (await client.get(f"/v1/models/{walked.model_id}")).json()
    flip(database, model["sha256"])
    again = walk(database, project_id)
    for model_id in (walked.model_id, again.model_id):
        answer = await client.get(f"/v1/models/{model_id}/content")
        assert (answer.status_code, answer.content == MODEL_BYTES) == (200, True)


@SQLITE_ONLY
@pytest.mark.parametrize("damaged", [False, True])
async def test_large_bytes_are_summed_on_the_way_and_the_last_piece_is_held_back(
    client: httpx.AsyncClient, walked: Walked, database: Database, project_id: str, damaged: bool
) -> None:
    pieces = [bytes([index]) * 1024 * 1024 for index in range(VERIFIED_BYTES // 1024**2 + 1)]
    with database.write.begin() as session:
        blob = DatabaseBlobs().put(session, pieces)
        row = artifacts.create(
            session, project_id=project_id, job_id=walked.job_id, kind="model", name="big", media_type="a/b", blob=blob
        )
    if damaged:
        flip(database, blob.sha256, 3)
    request = client.get(f"/v1/artifacts/{row.id}/content")
    if damaged:
        with pytest.raises(RuntimeError, match="response already started"):
            await request
    else:
        assert (await request).content == b"".join(pieces)
