"""The numbers of /metrics: they parse, are right, have no endless labels, and cost the database little."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, update

from api.app import create_app
from chaos_store import jobs, workers
from chaos_store.engine import Database, now
from chaos_store.jobs import Progress
from chaos_store.settings import Settings
from chaos_store.states import Kind
from chaos_store.tables import Job
from tests.api.conftest import Walked, add_dataset, add_job, take
from tests.api.test_workers import FACTS
from tests.house.tree import ROOT

Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]
AN_ID = re.compile(r"[0-9a-f]{16}")


@pytest.fixture
async def app(service_settings: Settings) -> AsyncIterator[FastAPI]:
    """Each question is answered anew."""
    made = create_app(service_settings.model_copy(update={"metrics_s": 1e-6}))
    async with made.router.lifespan_context(made):
        yield made


def of(numbers: Numbers, name: str, **labels: str) -> float:
    return numbers[name, tuple(sorted(labels.items()))]


async def scraped(client: httpx.AsyncClient) -> Numbers:
    answer = (await client.get("/metrics")).raise_for_status()
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


async def test_requests_are_counted_by_template(client: httpx.AsyncClient, walked: Walked) -> None:
    for path in (f"/v1/jobs/{walked.job_id}", "/v1/jobs/job_of_nobody", "/v1/jobs/a%0Ab", "/no/such/page", "/docs"):
        await client.get(path)
    await client.request("BREW", "/v1/jobs")
    await client.get(f"/v1/jobs/{walked.job_id}?wait=1")
    numbers = await scraped(client)
    route = "/v1/jobs/{job_id}"
    total = "chaos_http_requests_total"
    assert of(numbers, total, method="GET", route=route, status="200") == 2
    assert of(numbers, total, method="GET", route=route, status="404") == 2
    assert of(numbers, total, method="GET", route="other", status="404") == 1
    assert of(numbers, total, method="other", route="/v1/jobs", status="405") == 1
    assert of(numbers, "chaos_http_request_seconds_count", method="GET", route=route) == 3
    assert of(numbers, "chaos_http_requests_in_flight") == 1
    assert of(numbers, "chaos_event_streams") == 0


async def test_work_is_told_by_kind(client: httpx.AsyncClient, database: Database, project_id: str) -> None:
    dataset = add_dataset(database, project_id)
    waiting, running = (add_job(database, project_id, dataset) for _ in range(2))
    add_job(database, project_id, dataset, Kind.analyse)
    claim = take(database, running)
    with database.write.begin() as session:
        session.execute(update(Job).where(Job.id == waiting).values(not_before=now() - 100))
        values: Progress = {"kernel": "native", "progress_update": 500}
        jobs.progress(session, claim, first_step=True, **values)
        session.execute(update(Job).where(Job.id == running).values(first_step_at=now() - 10))
        workers.renew(session, "host-7-a", **FACTS)
    numbers = await scraped(client)
    assert of(numbers, "chaos_queue_depth", kind="train") == 1
    assert of(numbers, "chaos_queue_depth", kind="ingest") == 0
    assert 100 <= of(numbers, "chaos_queue_oldest_seconds", kind="train") < 160
    assert of(numbers, "chaos_jobs_running", kind="train") == 1
    assert of(numbers, "chaos_jobs", kind="analyse", status="queued") == 1
    assert 10 < of(numbers, "chaos_training_steps_per_second") <= 50
    assert of(numbers, "chaos_datasets", status="ready") == 1
    assert (of(numbers, "chaos_blobs"), of(numbers, "chaos_blob_bytes") > 1000) == (2, True)
    assert of(numbers, "chaos_workers", status="alive") == 1
    assert of(numbers, "chaos_worker_slots", slots="training") == 2
    assert of(numbers, "chaos_database_up") == 1
    with database.write.begin() as session:
        jobs.progress(session, claim, progress_update=10_500)
    assert of(await scraped(client), "chaos_training_steps_per_second") > 0


async def test_what_happened_is_counted_once_each(
    client: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    await scraped(client)
    dataset = add_dataset(database, project_id)
    good, lost, died = (add_job(database, project_id, dataset) for _ in range(3))
    with database.write.begin() as session:
        jobs.succeed(session, _claimed(session, good))
        _claimed(session, lost)
        session.execute(update(Job).where(Job.id == lost).values(lease_until=now() - 1))
        jobs.reap(session)
        claim = _claimed(session, died)
        jobs.record_event(session, claim, "runner_died", {})
        jobs.lose(session, claim, {"code": "runner_crashed"})
    for _ in range(2):
        numbers = await scraped(client)
        assert of(numbers, "chaos_job_events_total", kind="train", event="create") == 3
        assert of(numbers, "chaos_job_events_total", kind="train", event="claim") == 3
        assert of(numbers, "chaos_job_events_total", kind="train", event="lose_lease") == 2
        assert of(numbers, "chaos_leases_lost_total", kind="train") == 1
        assert of(numbers, "chaos_runner_deaths_total", kind="train") == 1
        assert of(numbers, "chaos_job_seconds_count", kind="train", end="succeeded") == 1


def _claimed(session: Any, job_id: str) -> jobs.Claim:
    claim = jobs.claim(session, job_id, "tester", 60.0)
    assert claim is not None
    return claim


async def test_no_label_holds_an_id(client: httpx.AsyncClient, walked: Walked) -> None:
    for path in (f"/v1/models/{walked.model_id}", f"/v1/artifacts/{walked.figure_id}/content", "/v1/" + "e" * 40):
        await client.get(path)
    for _, labels in await scraped(client):
        assert not any(AN_ID.search(value) for _, value in labels), labels


async def test_many_who_ask_cost_one_look(service_settings: Settings) -> None:
    app = create_app(service_settings.model_copy(update={"metrics_s": 3600.0}))
    asked: list[str] = []
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chaos") as client,
    ):
        engine = app.state.context.database.reader.sync_engine
        event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
        await asyncio.gather(*(client.get("/metrics") for _ in range(20)))
        first = len(asked)
        await asyncio.gather(*(client.get("/metrics") for _ in range(20)))
    assert 0 < first == len(asked) < 20
    assert sum("blob" in statement for statement in asked) == 1


async def test_a_database_that_is_behind_leaves_the_rest(tmp_path: Any) -> None:
    app = create_app(Settings(data_dir=tmp_path))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chaos") as client,
    ):
        numbers = await scraped(client)
    assert of(numbers, "chaos_database_up") == 0
    assert not any(name == "chaos_blobs" for name, _ in numbers)


async def _asked(settings: Settings, address: str, **headers: str) -> tuple[int, str]:
    app = create_app(settings)
    transport = httpx.ASGITransport(app, client=(address, 40000))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://chaos", headers=headers) as client,
    ):
        answer = await client.get("/metrics")
    is_problem = answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"] if is_problem else "numbers"


async def test_without_a_token_only_this_machine_is_answered(sqlite_settings: Settings) -> None:
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "127.8.8.8"):
        assert await _asked(sqlite_settings, address) == (200, "numbers")
    for address in ("10.0.0.7", "2001:db8::1", "testclient"):
        assert await _asked(sqlite_settings, address) == (403, "metrics_private")
    assert await _asked(sqlite_settings, "127.0.0.1", **{"X-Forwarded-For": "10.0.0.7"}) == (403, "metrics_private")


async def test_with_a_token_it_is_wanted_from_everybody(sqlite_settings: Settings) -> None:
    settings = Settings(data_dir=sqlite_settings.data_dir, metrics_token="token")
    assert await _asked(settings, "127.0.0.1") == (401, "unauthorized")
    for given in ("Bearer wrong", "Basic token", "token"):
        assert await _asked(settings, "127.0.0.1", authorization=given) == (401, "unauthorized")
    assert await _asked(settings, "10.0.0.7", authorization="Bearer token") == (200, "numbers")


async def test_the_docs_tell_of_each_metric_and_of_no_other(client: httpx.AsyncClient) -> None:
    text = (await client.get("/metrics")).text
    names = {family.name for family in text_string_to_metric_families(text)}
    page = (ROOT / "docs" / "operations.md").read_text()
    told = re.findall(r"^\| `((?:chaos|process)_[a-z_]+?)(?:_total)?`", page, re.MULTILINE)
    assert {name for name in names if name.startswith("chaos_")} == {name for name in told if name.startswith("chaos_")}
    assert names - set(told) <= {name for name in names if name.startswith("process_")}
