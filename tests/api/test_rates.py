"""Rate limits per key and per project: headers, refusals, a counter that is away."""

import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from api.rates import Rates
from chaos_store import keys
from chaos_store.engine import Database
from chaos_store.settings import Settings
from tests.api.conftest import Walked, client_of
from tests.api.test_scopes import bearer


@pytest.fixture
def settings(sqlite_settings: Settings) -> Settings:
    """Nothing here depends on the kind of database."""
    return sqlite_settings


@pytest.fixture(params=["memory", "broker"])
async def limited(
    request: pytest.FixtureRequest, service_settings: Settings, api_key: str
) -> AsyncIterator[httpx.AsyncClient]:
    rates = {"rate_limit": "3/hour", "project_rate_limit": "5/hour", "rate_limit_storage": request.param}
    async with client_of(service_settings.model_copy(update=rates), api_key) as client:
        yield client


async def test_a_key_then_its_project_is_refused_and_every_answer_says_how_much_is_left(
    limited: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    for left in (2, 1, 0):
        answer = await limited.get("/v1/jobs")
        assert answer.headers["ratelimit-policy"] == '"default";q=3;w=3600, "project";q=5;w=3600'
        own, project = answer.headers["ratelimit"].split(", ")
        assert own.startswith(f'"default";r={left};t=') and 3500 < int(own.rpartition("=")[2]) <= 3600
        assert project.startswith(f'"project";r={left + 2};t=')
    refused = await limited.get("/v1/jobs/job_none")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 3500 < int(refused.headers["retry-after"]) <= 3600
    assert refused.headers["ratelimit"].startswith('"default";r=0;t=')
    with database.write.begin() as session:
        another = bearer(keys.issue(session, project_id, "another")[1])
        other = keys.create_project(session, "other").id
        foreign = bearer(keys.issue(session, other, "foreign")[1])
    assert (await limited.get("/v1/jobs", headers=another)).status_code == 200
    assert (await limited.get("/v1/jobs", headers=another)).status_code == 429
    assert (await limited.get("/v1/jobs", headers=foreign)).status_code == 200
    for public in ("/livez", "/v1/limits"):
        answer = await limited.get(public)
        assert (answer.status_code, "ratelimit" in answer.headers) == (200, False)


async def test_two_processes_count_together_in_the_broker(service_settings: Settings, api_key: str) -> None:
    rates = {"rate_limit": "3/hour", "rate_limit_storage": "broker"}
    settings = service_settings.model_copy(update=rates)
    async with client_of(settings, api_key) as one, client_of(settings, api_key) as two:
        statuses = [(await client.get("/v1/jobs")).status_code for client in (one, two, one, two)]
    assert statuses == [200, 200, 200, 429]


async def test_while_the_counter_is_away_all_pass_and_the_log_says_so_once(
    settings: Settings, api_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    away = {"broker_url": "redis+socket:///nowhere/broker.sock"}
    rates = {"rate_limit": "1/hour", "rate_limit_storage": "broker"}
    with caplog.at_level(logging.WARNING):
        async with client_of(settings.model_copy(update=away | rates), api_key) as client:
            answers = [await client.get("/v1/jobs") for _ in range(3)]
            assert [answer.status_code for answer in answers] == [200] * 3
            assert "ratelimit" not in answers[0].headers
    assert len([record for record in caplog.records if "requests are not counted" in record.message]) == 1


async def test_one_who_waits_is_one_request_however_long(
    service_settings: Settings, api_key: str, walked: Walked
) -> None:
    rates = {"rate_limit": "2/hour"}
    async with client_of(service_settings.model_copy(update=rates), api_key) as client:
        stream = await client.get(f"/v1/jobs/{walked.job_id}/events", headers={"Accept": "text/event-stream"})
        assert stream.text.count("event: status") == 3
        assert stream.headers["ratelimit"].startswith('"default";r=1;')
        assert (await client.get(f"/v1/jobs/{walked.job_id}?wait=1")).status_code == 200


async def test_no_limit_is_set_unless_told(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/jobs")
    assert "ratelimit" not in answer.headers and "ratelimit-policy" not in answer.headers
    limits = (await client.get("/v1/limits")).json()
    assert (limits["rate_limit"], limits["project_rate_limit"]) == (None, None)


@pytest.mark.parametrize("given", ["", "600", "0/minute", "600/month", "600 / minute", "-1/second"])
def test_a_limit_that_cannot_be_read_is_refused(given: Any) -> None:
    with pytest.raises(ValidationError, match="rate_limit"):
        Settings(rate_limit=given)


async def test_counting_in_memory_takes_little_time() -> None:
    rates = Rates.of(Settings(rate_limit="1000000/minute", project_rate_limit="1000000/minute"))
    began = time.process_time()
    for _ in range(1000):
        await rates.take("prj", "key")
    assert time.process_time() - began < 1.0
