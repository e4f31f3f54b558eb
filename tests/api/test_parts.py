"""Files that come in parts."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from chaos_store import gc
from chaos_store.blobs import CHUNK_BYTES
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import Blob, BlobChunk, Dataset, Job, Upload
from tests.api.conftest import client_of
from tests.api.test_raw import ONE_DATABASE, count, digest
from tests.api.test_uploads import changed, csv

PART = CHUNK_BYTES
CONTENT = random.Random(1).randbytes(3 * PART + 12_345)


def cut(content: bytes, size: int = PART) -> dict[int, bytes]:
    return {1 + at // size: content[at : at + size] for at in range(0, len(content), size)}


async def begin(client: httpx.AsyncClient, content: bytes = CONTENT, **words: Any) -> dict[str, Any]:
    body = {"filename": "waves.csv", "size_bytes": len(content), "part_bytes": PART, **words}
    answer = await client.post("/v1/uploads", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == made["links"]["self"]
    return made


async def send(
    client: httpx.AsyncClient, upload: dict[str, Any], number: int, part: bytes, said: bytes | None = None
) -> httpx.Response:
    headers = {"Content-Digest": digest(part if said is None else said)}
    return await client.put(f"{upload['links']['self']}/parts/{number}", content=part, headers=headers)


async def send_all(client: httpx.AsyncClient, upload: dict[str, Any], content: bytes = CONTENT) -> None:
    for number, part in cut(content).items():
        assert (await send(client, upload, number, part)).status_code == 200


@pytest.fixture
async def small(service_settings: Settings, api_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """Nothing is read at once."""
    async with client_of(service_settings.model_copy(update={"inline_upload_bytes": 1000}), api_key) as client:
        yield client


async def test_parts_in_any_order_become_a_dataset(small: httpx.AsyncClient, database: Database) -> None:
    made = await begin(small, sha256=hashlib.sha256(CONTENT).hexdigest(), dt=0.1, name="waves")
    assert (made["status"], made["part_count"], made["missing"], made["parts"]) == ("open", 4, [1, 2, 3, 4], [])
    parts = cut(CONTENT)
    for number in (3, 1, 4):
        answer = await send(small, made, number, parts[number])
        assert (answer.status_code, answer.json()["size_bytes"]) == (200, len(parts[number]))
    seen = (await small.get(made["links"]["self"])).json()
    assert (seen["missing"], [part["number"] for part in seen["parts"]]) == ([2], [1, 3, 4])
    assert seen["received_bytes"] == len(CONTENT) - PART and seen["expires_at"] > made["expires_at"]
    early = await small.post(made["links"]["complete"])
    assert (early.status_code, early.json()["code"], early.json()["missing"]) == (409, "upload_incomplete", [2])
    assert (await send(small, made, 2, parts[2])).status_code == 200
    done = await small.post(made["links"]["complete"])
    dataset = done.json()
    assert (done.status_code, dataset["status"], dataset["name"]) == (202, "processing", "waves")
    assert done.headers["location"] == dataset["links"]["self"]
    assert dataset["content_sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert (await small.get(dataset["links"]["content"])).content == CONTENT
    again = await small.post(made["links"]["complete"])
    assert (again.status_code, again.json()) == (200, dataset)
    closed = (await small.get(made["links"]["self"])).json()
    assert (closed["status"], closed["dataset_id"], closed["missing"]) == ("completed", dataset["id"], [])
    late = await send(small, made, 2, parts[2])
    assert (late.status_code, late.json()["code"]) == (409, "upload_closed")
    assert (count(database, Dataset), count(database, Job)) == (1, 1)
    with database.read() as session:
        assert session.scalars(select(Blob)).one().content == session.scalars(select(Upload)).one().content


async def test_a_small_file_in_one_part_is_read_at_once(client: httpx.AsyncClient) -> None:
    made = await begin(client, csv(), dt=0.5, split={"train": 0.6, "validation": 0.2, "test": 0.2})
    await send_all(client, made, csv())
    done = await client.post(made["links"]["complete"])
    dataset = done.json()
    assert (done.status_code, dataset["status"], dataset["dt"]) == (201, "ready", 0.5)
    assert dataset["split"] == {"train": 0.6, "validation": 0.2, "test": 0.2}


async def test_the_same_part_twice_changes_nothing_and_other_bytes_are_refused(
    client: httpx.AsyncClient, database: Database
) -> None:
    made = await begin(client)
    parts = cut(CONTENT)
    first, again = [await send(client, made, 1, parts[1]) for _ in range(2)]
    assert (first.status_code, again.status_code) == (200, 200) and first.json() == again.json()
    other = await send(client, made, 1, parts[2])
    assert (other.status_code, other.json()["code"], other.json()["number"]) == (409, "part_conflict", 1)
    assert count(database, BlobChunk) == 1
    with database.read() as session:
        assert session.scalars(select(BlobChunk.data)).one() == parts[1]


REFUSED = [
    (1, CONTENT[: PART - 1], None, 422, "size_mismatch"),
    (1, CONTENT[: PART + 1], None, 413, "body_too_large"),
    (4, CONTENT[:PART], None, 413, "body_too_large"),
    (1, CONTENT[:PART], b"other", 422, "digest_mismatch"),
    (5, CONTENT[:PART], None, 404, "not_found"),
    (0, CONTENT[:PART], None, 422, "invalid_request"),
    (10_001, CONTENT[:PART], None, 422, "invalid_request"),
]


@pytest.mark.parametrize(("number", "part", "said", "status", "code"), REFUSED)
async def test_a_part_that_does_not_fit_is_refused(
    client: httpx.AsyncClient, database: Database, number: int, part: bytes, said: bytes | None, status: int, code: str
) -> None:
    made = await begin(client)
    answer = await send(client, made, number, part, said)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert count(database, BlobChunk) == 0
    assert (await client.get(made["links"]["self"])).json()["received_parts"] == 0


@ONE_DATABASE
async def test_a_part_needs_a_digest(client: httpx.AsyncClient) -> None:
    made = await begin(client)
    answer = await client.put(f"{made['links']['self']}/parts/1", content=CONTENT[:PART])
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_digest")


async def test_the_same_part_many_times_at_once_is_kept_once(client: httpx.AsyncClient, database: Database) -> None:
    made, parts = await begin(client), cut(CONTENT)
    answers = await asyncio.gather(*(send(client, made, 2, parts[2]) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert count(database, BlobChunk) == 1
    rivals = await asyncio.gather(*(send(client, made, 1, parts[number]) for number in (1, 2, 3) for _ in range(2)))
    won = [answer.json()["sha256"] for answer in rivals if answer.status_code == 200]
    assert len(set(won)) == 1 and {answer.status_code for answer in rivals} == {200, 409}
    assert count(database, BlobChunk) == 2


async def test_many_completions_at_once_make_one_dataset(small: httpx.AsyncClient, database: Database) -> None:
    made = await begin(small)
    await send_all(small, made)
    answers = await asyncio.gather(*(small.post(made["links"]["complete"]) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 202]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (count(database, Dataset), count(database, Job)) == (1, 1)


async def test_a_wrong_sum_of_the_whole_is_refused_at_the_end(client: httpx.AsyncClient, database: Database) -> None:
    made = await begin(client, sha256="0" * 64)
    await send_all(client, made)
    answer = await client.post(made["links"]["complete"])
    assert (answer.status_code, answer.json()["code"]) == (422, "digest_mismatch")
    assert (count(database, Dataset), count(database, Blob)) == (0, 0)


async def test_a_file_that_cannot_be_read_leaves_the_upload_open(client: httpx.AsyncClient, database: Database) -> None:
    bad = changed(10, "hello,0.5")
    made = await begin(client, bad)
    await send_all(client, made, bad)
    for _ in range(2):
        answer = await client.post(made["links"]["complete"])
        assert (answer.status_code, answer.json()["code"]) == (422, "column_not_numeric")
    assert (await client.get(made["links"]["self"])).json()["status"] == "open"
    assert (count(database, Dataset), count(database, Blob)) == (0, 0)


async def test_the_same_file_twice_is_stored_once(small: httpx.AsyncClient, database: Database) -> None:
    for _ in range(2):
        made = await begin(small)
        await send_all(small, made)
        assert (await small.post(made["links"]["complete"])).status_code == 202
    assert (count(database, Blob), count(database, BlobChunk), count(database, Dataset)) == (1, 4, 2)


async def test_another_process_goes_on_where_one_ended(service_settings: Settings, api_key: str) -> None:
    async with client_of(service_settings, api_key) as client:
        made, parts = await begin(client, csv() * 1000), cut(csv() * 1000)
        await send(client, made, 2, parts[2])
    async with client_of(service_settings, api_key) as client:
        seen = (await client.get(made["links"]["self"])).json()
        assert 2 not in seen["missing"]
        for number in seen["missing"]:
            assert (await send(client, made, number, parts[number])).status_code == 200
    async with client_of(service_settings.model_copy(update={"inline_upload_bytes": 1000}), api_key) as client:
        done = await client.post(made["links"]["complete"])
        assert done.json()["content_sha256"] == hashlib.sha256(csv() * 1000).hexdigest()


async def test_an_upload_given_up_leaves_nothing_and_its_dataset_stays(
    small: httpx.AsyncClient, database: Database
) -> None:
    open_one, closed = await begin(small), await begin(small)
    await send(small, open_one, 1, cut(CONTENT)[1])
    await send_all(small, closed)
    dataset = (await small.post(closed["links"]["complete"])).json()
    for made in (open_one, closed):
        assert (await small.delete(made["links"]["self"])).status_code == 204
        assert (await small.get(made["links"]["self"])).status_code == 404
        assert (await send(small, made, 1, CONTENT[:PART])).status_code == 404
    gc.collect(database, grace_s=-1.0)
    assert (await small.get(dataset["links"]["content"])).content == CONTENT
    assert count(database, BlobChunk) == 4


async def test_the_collector_spares_an_open_upload_until_it_expires(
    small: httpx.AsyncClient, database: Database
) -> None:
    made, given_up = await begin(small), await begin(small)
    parts = cut(CONTENT)
    for number in (1, 2, 3):
        await send(small, made, number, parts[number])
        await send(small, given_up, number, parts[number])
    with database.write.begin() as session:
        session.execute(update(BlobChunk).values(created_at=BlobChunk.created_at - 1e6))
        session.execute(update(Upload).where(Upload.id == given_up["id"]).values(expires_at=1.0))
    assert gc.collect(database, grace_s=3600.0) == gc.Collected(expired_uploads=1)
    assert (count(database, BlobChunk), count(database, Upload)) == (3, 1)
    await send(small, made, 4, parts[4])
    dataset = (await small.post(made["links"]["complete"])).json()
    assert gc.collect(database, grace_s=-1.0) == gc.Collected()
    assert (await small.get(dataset["links"]["content"])).content == CONTENT


async def test_room_is_promised_to_each_open_upload(service_settings: Settings, api_key: str) -> None:
    limits = {"max_blob_bytes": 2 * len(CONTENT), "max_upload_bytes": 2 * len(CONTENT)}
    async with client_of(service_settings.model_copy(update=limits), api_key) as client:
        first = await begin(client)
        await begin(client)
        body = {"filename": "x.csv", "size_bytes": 1}
        full = await client.post("/v1/uploads", json=body)
        assert (full.status_code, full.json()["code"]) == (507, "storage_full")
        await client.delete(first["links"]["self"])
        assert (await client.post("/v1/uploads", json=body)).status_code == 201
        large = await client.post("/v1/uploads", json=body | {"size_bytes": 2 * len(CONTENT) + 1})
        assert (large.status_code, large.json()["code"]) == (413, "body_too_large")


@ONE_DATABASE
async def test_lists_and_odd_orders(client: httpx.AsyncClient) -> None:
    made = await begin(client)
    await send(client, made, 1, CONTENT[:PART])
    page = (await client.get("/v1/uploads", params={"status": "open"})).json()
    assert [(row["id"], row["received_parts"], row["received_bytes"]) for row in page["data"]] == [
        (made["id"], 1, PART)
    ]
    assert (await client.get("/v1/uploads", params={"status": "completed"})).json()["data"] == []
    for words, loc in (
        ({"part_bytes": PART + 1}, "part_bytes"),
        ({"part_bytes": 129 * PART}, "part_bytes"),
        ({"size_bytes": 0}, "size_bytes"),
        ({"split": {"train": 0.9, "validation": 0.9, "test": 0.9}}, "split"),
    ):
        body = {"filename": "x.csv", "size_bytes": 10} | words
        answer = await client.post("/v1/uploads", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", loc])
    many = await client.post("/v1/uploads", json={"filename": "x", "size_bytes": 10 * 2**30})
    assert many.status_code == 413
    assert (await begin(client, part_bytes=None))["part_bytes"] == 16 * CHUNK_BYTES
