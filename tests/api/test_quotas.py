"""Quotas hold to the job and to the byte, also for many who come at once."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import func, select

from chaos_store import capacity, jobs, projects, usage
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.tables import BlobChunk, Dataset, Job
from tests.api.conftest import Walked, take

AT_ONCE = 20


def limit(database: Database, project_id: str, **quotas: Any) -> None:
    with database.write.begin() as session:
        projects.change(session, project_id, **{f"quota_{name}": value for name, value in quotas.items()})


def used_bytes(database: Database, project_id: str) -> int:
    with database.read() as session:
        return int(session.scalar(capacity.project_bytes(project_id)) or 0)


def count(database: Database, table: Any) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def recording(seed: int) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(seed).normal(size=(64, 2)))
    return buffer.getvalue()


async def upload(client: httpx.AsyncClient, seed: int) -> httpx.Response:
    return await client.post("/v1/datasets", files={"file": ("a.npy", recording(seed))})


async def test_of_twenty_jobs_posted_at_once_as_many_are_taken_as_may_be(
    client: httpx.AsyncClient, walked: Walked, database: Database, project_id: str
) -> None:
    limit(database, project_id, jobs=7)
    posts = [client.post("/v1/jobs", json={"dataset_id": walked.dataset_id}) for _ in range(AT_ONCE)]
    answers = await asyncio.gather(*posts)
    assert sorted(answer.status_code for answer in answers) == [202] * 7 + [429] * 13
    refused = next(answer for answer in answers if answer.status_code == 429)
    problem = refused.json()
    assert (problem["code"], problem["used"], problem["limit"]) == ("quota_jobs", 7, 7)
    assert problem["remedy"] and refused.headers["retry-after"] == "30"
    assert count(database, Job) == 1 + 7


async def test_of_twenty_uploads_at_once_as_many_are_stored_as_fit(
    client: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    assert (await upload(client, 1000)).status_code == 201
    each = used_bytes(database, project_id)
    limit(database, project_id, bytes=4 * each + each // 2)
    answers = await asyncio.gather(*[upload(client, seed) for seed in range(AT_ONCE)])
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [403] * 17
    problem = next(answer for answer in answers if answer.status_code == 403).json()
    assert (problem["code"], problem["limit"]) == ("quota_bytes", 4 * each + each // 2)
    assert problem["used"] > problem["limit"] and problem["remedy"]
    assert used_bytes(database, project_id) <= 4 * each + each // 2
    assert count(database, Dataset) == 4


async def test_the_same_bytes_cost_nothing_and_deleted_ones_are_given_back(
    client: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    first = await upload(client, 1)
    limit(database, project_id, bytes=used_bytes(database, project_id) + 1800)
    assert (await upload(client, 1)).status_code == 201
    assert (await upload(client, 2)).status_code == 403
    for dataset in (await client.get("/v1/datasets")).json()["data"]:
        assert (await client.delete(dataset["links"]["self"])).status_code == 204
    assert (await upload(client, 2)).status_code == 201
    assert first.status_code == 201


async def test_an_announced_upload_is_refused_before_its_body_is_read(
    client: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    limit(database, project_id, bytes=50_000)
    read: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        for index in range(100):
            read.append(index)
            yield b"x" * 1000

    headers = {"Content-Type": "multipart/form-data; boundary=y", "Content-Length": "100000"}
    answer = await client.post("/v1/datasets", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["code"], read) == (403, "quota_bytes", [])
    assert count(database, BlobChunk) == 0


async def test_a_generated_dataset_counts_too(client: httpx.AsyncClient, database: Database, project_id: str) -> None:
    limit(database, project_id, bytes=1000)
    answer = await client.post("/v1/systems/henon/datasets", json={"steps": 500})
    assert (answer.status_code, answer.json()["code"]) == (403, "quota_bytes")


async def test_every_way_to_queue_a_job_asks_for_the_quota(
    client: httpx.AsyncClient, walked: Walked, database: Database, project_id: str
) -> None:
    body = {"dataset_id": walked.dataset_id}
    paused = (await client.post("/v1/jobs", json=body)).json()["id"]
    cancelled = (await client.post("/v1/jobs", json=body)).json()["id"]
    await client.post(f"/v1/jobs/{paused}/pause")
    await client.post(f"/v1/jobs/{cancelled}/cancel")
    limit(database, project_id, jobs=0)
    for path, json in (
        ("/v1/jobs", body),
        ("/v1/analyses", body | {"fresh": True}),
        ("/v1/baselines", body | {"spec": {"baseline": {"kind": "ngrc"}}}),
        (f"/v1/jobs/{walked.job_id}/clone", {}),
        (f"/v1/jobs/{paused}/resume", None),
        (f"/v1/jobs/{cancelled}/retry", {}),
    ):
        answer = await client.post(path, json=json)
        assert (answer.status_code, answer.json()["code"]) == (429, "quota_jobs"), (path, answer.text)
    limit(database, project_id, jobs=2)
    for path in (f"/v1/jobs/{paused}/resume", f"/v1/jobs/{cancelled}/retry"):
        assert (await client.post(path)).status_code == 200
    assert (await client.post(f"/v1/jobs/{paused}/resume")).status_code == 200


async def test_core_hours_are_refused_once_they_are_used(
    client: httpx.AsyncClient, walked: Walked, database: Database, project_id: str
) -> None:
    with database.write.begin() as session:
        usage.charge(session, project_id, core_seconds=1799.0)
    limit(database, project_id, core_hours=0.5)
    body = {"dataset_id": walked.dataset_id}
    queued = await client.post("/v1/jobs", json=body)
    assert queued.status_code == 202
    with database.write.begin() as session:
        usage.charge(session, project_id, core_seconds=2.0)
    answer = await client.post("/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "quota_core_hours")
    assert answer.json()["used"] == pytest.approx(0.5, abs=0.01) and answer.json()["limit"] == 0.5


async def test_usage_shows_what_is_used_beside_the_quotas(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, walked: Walked, database: Database, project_id: str
) -> None:
    limit(database, project_id, bytes=10**9, jobs=5)
    job = (await client.post("/v1/jobs", json={"dataset_id": walked.dataset_id})).json()["id"]
    claim = take(database, job)
    with database.write.begin() as session:
        jobs.fail(session, claim, {"code": "stalled"})
    found = (await client.get("/v1/usage")).json()
    assert (found["datasets"], found["jobs"]) == (1, {"succeeded": 1, "failed": 1})
    assert found["quotas"] == {"bytes": 10**9, "jobs": 5, "core_hours": None}
    kinds = found["stored_bytes_by_kind"]
    assert set(kinds) == {"dataset", "model", "figure", "trajectory"}
    assert found["stored_bytes"] == sum(kinds.values()) == used_bytes(database, project_id)
    assert 0 < found["core_seconds"] < 600
    assert found["requests"] == 2
    other = (await stranger.get("/v1/usage")).json()
    assert (other["stored_bytes"], other["jobs"], other["core_seconds"], other["requests"]) == (0, {}, 0.0, 1)


def test_bytes_of_every_table_belong_to_a_project(database: Database, project_id: str) -> None:
    assert len(capacity.USERS) >= 6
    with database.write.begin() as session:
        DatabaseBlobs().put(session, [b"nobody's"])
        assert session.execute(capacity.bytes_by_kind(project_id)).all() == []
