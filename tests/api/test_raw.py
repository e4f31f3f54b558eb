"""Raw bytes of a dataset that waits for them."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import Base, Blob, BlobChunk, Job
from tests.api.conftest import client_of
from tests.api.test_uploads import changed, csv

ONE_DATABASE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


def digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


async def announce(client: httpx.AsyncClient, **words: Any) -> dict[str, Any]:
    answer = await client.post("/v1/datasets", json=words)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == made["links"]["self"]
    return made


def count(database: Database, table: type[Base]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


async def test_a_dataset_waits_for_its_bytes_and_is_ready_when_they_have_come(
    client: httpx.AsyncClient, database: Database
) -> None:
    made = await announce(client, filename="waves.csv", dt=0.3, split={"train": 0.5, "validation": 0.25, "test": 0.25})
    assert (made["status"], made["size_bytes"], made["content_sha256"]) == ("empty", 0, None)
    early = await client.post("/v1/jobs", json={"dataset_id": made["id"]})
    assert (early.status_code, early.json()["code"]) == (409, "dataset_not_ready")
    assert (await client.get(made["links"]["content"])).json()["code"] == "dataset_not_ready"
    answer = await client.put(
        made["links"]["content"], content=csv(), headers={"Content-Type": "text/csv", "Content-Digest": digest(csv())}
    )
    filled = answer.json()
    assert (answer.status_code, filled["status"], filled["id"]) == (200, "ready", made["id"])
    assert (filled["names"], filled["dt"], filled["name"]) == (["a", "b"], 0.3, "waves.csv")
    assert filled["split"] == {"train": 0.5, "validation": 0.25, "test": 0.25}
    assert filled["content_sha256"] == hashlib.sha256(csv()).hexdigest()
    assert (await client.get(made["links"]["content"])).content == csv()
    again = await client.put(made["links"]["content"], content=csv())
    assert (again.status_code, again.json()["code"]) == (409, "dataset_has_content")
    assert (count(database, Blob), count(database, BlobChunk)) == (2, 2)


REFUSED = {
    "other bytes than the digest": ({}, {"Content-Digest": digest(b"no")}, 422, "digest_mismatch"),
    "another algorithm": ({}, {"Content-Digest": "sha-512=:AAAA:"}, 422, "invalid_digest"),
    "no digest at all": ({}, {"Content-Digest": "sha-256=abc"}, 422, "invalid_digest"),
    "a short digest": ({}, {"Content-Digest": "sha-256=:AAAA:"}, 422, "invalid_digest"),
    "other bytes than announced": ({"sha256": "0" * 64}, {}, 422, "digest_mismatch"),
    "another size": ({"size_bytes": 7}, {}, 422, "size_mismatch"),
    "encoded bytes": ({}, {"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refused_bytes_leave_the_dataset_empty_and_nothing_behind(
    client: httpx.AsyncClient, database: Database, case: str
) -> None:
    announced, headers, status, code = REFUSED[case]
    made = await announce(client, **announced)
    answer = await client.put(made["links"]["content"], content=csv(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (await client.get(made["links"]["self"])).json() == made
    assert count(database, BlobChunk) == 0


@ONE_DATABASE
async def test_a_digest_beside_other_algorithms_is_taken(client: httpx.AsyncClient) -> None:
    made = await announce(client)
    both = f"sha-512=:AAAA:, {digest(csv())}"
    assert (
        await client.put(made["links"]["content"], content=csv(), headers={"Content-Digest": both})
    ).status_code == 200


async def test_a_file_that_cannot_be_read_can_be_sent_again_corrected(
    client: httpx.AsyncClient, database: Database
) -> None:
    made = await announce(client, filename="waves.csv")
    bad = await client.put(made["links"]["content"], content=changed(10, "hello,0.5"))
    assert (bad.status_code, bad.json()["code"], bad.json()["row"]) == (422, "column_not_numeric", 9)
    assert (await client.get(made["links"]["self"])).json()["status"] == "empty"
    assert count(database, BlobChunk) == 0
    assert (await client.put(made["links"]["content"], content=csv())).status_code == 200


@pytest.fixture
async def small(service_settings: Settings, api_key: str) -> AsyncIterator[httpx.AsyncClient]:
    limits = {"inline_upload_bytes": 1000, "max_upload_bytes": 20_000_000}
    async with client_of(service_settings.model_copy(update=limits), api_key) as client:
        yield client


async def in_pieces(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


async def test_many_bytes_in_pieces_become_a_job(small: httpx.AsyncClient, database: Database) -> None:
    content = csv() * 12_000
    made = await announce(small, size_bytes=len(content))
    answer = await small.put(made["links"]["content"], content=in_pieces(content))
    filled = answer.json()
    assert (answer.status_code, filled["status"], filled["size_bytes"]) == (202, "processing", len(content))
    assert filled["content_sha256"] == hashlib.sha256(content).hexdigest()
    assert (await small.get(made["links"]["content"])).content == content
    with database.read() as session:
        assert session.scalars(select(Job)).one().kind == "ingest"


async def test_too_many_bytes_are_413_announced_or_not(small: httpx.AsyncClient, database: Database) -> None:
    made = await announce(small)
    content = b"1" * 20_000_001
    for body in (content, in_pieces(content)):
        answer = await small.put(made["links"]["content"], content=body)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert count(database, BlobChunk) == 0
    large = await small.post("/v1/datasets", json={"size_bytes": 20_000_001})
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")


async def test_a_broken_connection_leaves_the_dataset_empty(small: httpx.AsyncClient, database: Database) -> None:
    made = await announce(small)

    async def breaks_off() -> AsyncIterator[bytes]:
        yield b"1" * 17_000_000
        raise httpx.ReadError("gone")

    with pytest.raises(httpx.ReadError):
        await small.put(made["links"]["content"], content=breaks_off())
    assert (await small.get(made["links"]["self"])).json() == made
    assert (count(database, Blob), count(database, BlobChunk)) == (0, 0)


async def test_of_two_that_fill_a_dataset_at_once_one_wins(client: httpx.AsyncClient, database: Database) -> None:
    made = await announce(client, filename="waves.csv")
    bodies = (csv(), changed(3, "0.5,0.5"))
    answers = await asyncio.gather(*(client.put(made["links"]["content"], content=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    won = next(body for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 200)
    assert (await client.get(made["links"]["content"])).content == won
    assert count(database, BlobChunk) == 2


@ONE_DATABASE
async def test_json_that_is_none_or_has_unknown_fields_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    broken = await client.post("/v1/datasets", content=b"{", headers=headers)
    assert (broken.status_code, broken.json()["code"]) == (400, "invalid_json")
    for body, loc in (({"nmae": "x"}, "nmae"), ({"size_bytes": 0}, "size_bytes"), ({"sha256": "x"}, "sha256")):
        answer = await client.post("/v1/datasets", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", loc])
    listed = await client.post("/v1/datasets", json=[1])
    assert (listed.status_code, listed.json()["code"]) == (422, "invalid_request")
