"""Polls of jobs: one statement for all who ask at the same moment, and documents that are not sent twice."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, event

from chaos_store import commands
from chaos_store.engine import Database
from tests.api.conftest import Walked, add_job, take

TOGETHER = 100


@pytest.fixture
def statements(app: FastAPI) -> Iterator[list[str]]:
    """What the readers of the API ask the database."""
    found: list[str] = []

    def note(_connection, _cursor, statement, *_) -> None:
        found.append(statement)

    for engine in readers(app):
        event.listen(engine, "before_cursor_execute", note)
    yield found
    for engine in readers(app):
        event.remove(engine, "before_cursor_execute", note)


def readers(app: FastAPI) -> list[Engine]:
    context = app.state.context
    return [context.database.reader.sync_engine, context.bulk.reader]


async def test_all_who_ask_together_share_the_statements(
    client: httpx.AsyncClient, walked: Walked, statements: list[str]
) -> None:
    path = f"/v1/jobs/{walked.job_id}"
    first = await client.get(path)
    statements.clear()
    answers = await asyncio.gather(*(client.get(path) for _ in range(TOGETHER)))
    assert {answer.content for answer in answers} == {first.content}
    assert 0 < len(statements) <= TOGETHER / 5
    assert all("job.spec" not in statement for statement in statements), "an unchanged job is not read again"


@pytest.mark.parametrize("known", [True, False])
async def test_with_and_without_a_query_the_answer_is_the_same(
    client: httpx.AsyncClient, walked: Walked, known: bool
) -> None:
    path = f"/v1/jobs/{walked.job_id if known else 'job_' + '0' * 32}"
    polled, waited = await client.get(path), await client.get(path, params={"wait": 0})
    assert polled.status_code == waited.status_code == (200 if known else 404)
    own = {"request_id"}
    assert {**polled.json(), **dict.fromkeys(own)} == {**waited.json(), **dict.fromkeys(own)}
    assert polled.headers.get("etag") == waited.headers.get("etag")
    assert set(polled.headers) == set(waited.headers)


async def test_no_answer_is_older_than_its_question(
    client: httpx.AsyncClient, database: Database, project_id: str, walked: Walked
) -> None:
    path = f"/v1/jobs/{walked.job_id}"
    for number in range(20):
        with database.write.begin() as session:
            commands.revise(session, project_id, walked.job_id, labels={"number": str(number)})
        assert (await client.get(path)).json()["labels"] == {"number": str(number)}


async def test_one_who_leaves_takes_no_answer_with_him(client: httpx.AsyncClient, walked: Walked) -> None:
    path = f"/v1/jobs/{walked.job_id}"
    assert (await client.get(path)).status_code == 200
    leaving = [asyncio.create_task(client.get(path)) for _ in range(5)]
    staying = [asyncio.create_task(client.get(path)) for _ in range(5)]
    await asyncio.sleep(0)
    for task in leaving:
        task.cancel()
    assert {(await task).status_code for task in staying} == {200}


async def test_absent_foreign_and_own_jobs_asked_for_together_keep_apart(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, walked: Walked
) -> None:
    path = f"/v1/jobs/{walked.job_id}"
    mine, foreign, absent = await asyncio.gather(
        client.get(path), stranger.get(path), client.get("/v1/jobs/job_" + "0" * 32)
    )
    assert (mine.status_code, foreign.status_code, absent.status_code) == (200, 404, 404)


async def test_a_known_version_is_not_sent_again(
    client: httpx.AsyncClient, database: Database, project_id: str, walked: Walked
) -> None:
    for path in (f"/v1/jobs/{walked.job_id}", f"/v1/models/{walked.model_id}", "/v1/jobs", "/v1/limits"):
        first = await client.get(path)
        etag = first.headers["etag"]
        again = await client.get(path, headers={"If-None-Match": f'"other", W/{etag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag), path
        assert "content-type" not in again.headers and "x-request-id" in again.headers
        assert (await client.get(path, headers={"If-None-Match": '"other"'})).content == first.content
    etag = (await client.get(f"/v1/jobs/{walked.job_id}")).headers["etag"]
    with database.write.begin() as session:
        commands.revise(session, project_id, walked.job_id, labels={"new": "1"})
    changed = await client.get(f"/v1/jobs/{walked.job_id}", headers={"If-None-Match": etag})
    assert changed.status_code == 200 and changed.headers["etag"] != etag


@pytest.mark.parametrize(("noun", "change"), [("jobs", {"priority": 7}), ("models", {"licence": "MIT"})])
async def test_a_change_of_a_version_that_is_gone_is_refused(
    client: httpx.AsyncClient, walked: Walked, noun: str, change: dict[str, object]
) -> None:
    path = f"/v1/{noun}/{walked.job_id if noun == 'jobs' else walked.model_id}"
    before = await client.get(path)
    matching = {"If-Match": before.headers["etag"]}
    assert (await client.patch(path, json=change, headers=matching)).status_code == 200
    refused = await client.patch(path, json=change, headers=matching)
    assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    now = (await client.get(path)).headers["etag"]
    assert refused.json()["etag"] == now
    assert (await client.patch(path, json=change, headers={"If-Match": f'"old", {now}'})).status_code == 200
    weak = (await client.get(path)).headers["etag"]
    assert (await client.patch(path, json=change, headers={"If-Match": f"W/{weak}"})).status_code == 412
    assert (await client.patch(path, json=change, headers={"If-Match": "*"})).status_code == 200


async def test_of_changes_to_one_version_only_the_first_is_made(client: httpx.AsyncClient, walked: Walked) -> None:
    path = f"/v1/jobs/{walked.job_id}"
    matching = {"If-Match": (await client.get(path)).headers["etag"]}
    changes = (client.patch(path, json={"priority": number}, headers=matching) for number in range(1, 9))
    statuses = sorted([answer.status_code for answer in await asyncio.gather(*changes)])
    assert statuses == [200] + [412] * 7


async def test_a_database_that_comes_back_is_asked_again(
    app: FastAPI, client: httpx.AsyncClient, database: Database, project_id: str, walked: Walked
) -> None:
    job_id = add_job(database, project_id, walked.dataset_id)
    assert (await client.get(f"/v1/jobs/{job_id}")).json()["status"] == "queued"

    def fail(*_: object) -> None:
        raise OSError("no way to the database")

    for engine in readers(app):
        event.listen(engine, "before_cursor_execute", fail)
    away = await asyncio.gather(*(client.get(f"/v1/jobs/{job_id}") for _ in range(3)))
    for engine in readers(app):
        event.remove(engine, "before_cursor_execute", fail)
    assert {(answer.status_code, answer.json()["code"]) for answer in away} == {(503, "database_unavailable")}
    take(database, job_id)
    assert (await client.get(f"/v1/jobs/{job_id}")).json()["status"] == "running"
