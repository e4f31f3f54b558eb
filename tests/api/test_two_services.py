"""Two API processes on one database and broker: a job's life stays one line, whoever asks."""

import asyncio
import random
from collections import Counter

import httpx
import pytest

from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.states import TRANSITIONS, Event, State
from tests.api.conftest import add_dataset, client_of

COMMANDS = ("pause", "resume", "cancel", "retry")


@pytest.fixture
def dataset_id(database: Database, project_id: str) -> str:
    return add_dataset(database, project_id)


async def test_commands_sent_to_both_at_once_make_one_line_of_states(
    service_settings: Settings, api_key: str, dataset_id: str
) -> None:
    async with client_of(service_settings, api_key) as first, client_of(service_settings, api_key) as second:
        job = (await first.post("/v1/jobs", json={"dataset_id": dataset_id})).json()
        asked = [random.Random(seed).choice(COMMANDS) for seed in range(60)]
        answers = await asyncio.gather(
            *((first, second)[index % 2].post(f"/v1/jobs/{job['id']}/{name}") for index, name in enumerate(asked))
        )
        for name, answer in zip(asked, answers, strict=True):
            refusal = {"pause": "paus", "resume": "resum", "cancel": "cancell", "retry": "retry"}[name] + "able"
            assert answer.status_code == 200 or answer.json()["code"] == f"job_not_{refusal}", answer.text
        events = (await second.get(job["links"]["events"])).json()["data"]
        now = (await second.get(job["links"]["self"])).json()["status"]
    state = State.queued
    for row in events[1:]:
        state = TRANSITIONS[state, Event(row["data"]["event"])]
        assert state == row["data"]["status"]
    assert (state, events[0]["data"]["event"]) == (now, "create")
    moved = Counter(row["data"]["event"] for row in events)
    assert moved.total() - 1 <= sum(answer.status_code == 200 for answer in answers)


async def test_one_of_two_deletes_finds_the_job_and_the_other_does_not(
    service_settings: Settings, api_key: str, dataset_id: str
) -> None:
    async with client_of(service_settings, api_key) as first, client_of(service_settings, api_key) as second:
        job = (await first.post("/v1/jobs", json={"dataset_id": dataset_id})).json()
        await second.post(f"/v1/jobs/{job['id']}/cancel")
        answers = await asyncio.gather(*(client.delete(f"/v1/jobs/{job['id']}") for client in (first, second)))
        assert sorted(answer.status_code for answer in answers) == [204, 404]


async def test_a_job_posted_while_its_dataset_is_deleted_is_made_or_refused(
    service_settings: Settings, api_key: str, database: Database, project_id: str
) -> None:
    async with client_of(service_settings, api_key) as first, client_of(service_settings, api_key) as second:
        for _ in range(10):
            dataset_id = add_dataset(database, project_id)
            body = {"dataset_id": dataset_id}
            made, analysed, gone = await asyncio.gather(
                first.post("/v1/jobs", json=body),
                first.post("/v1/analyses", json=body | {"fresh": True}),
                second.delete(f"/v1/datasets/{dataset_id}"),
            )
            assert (gone.status_code, {made.status_code, analysed.status_code}) in [(204, {404}), (409, {202})], (
                gone.text,
                made.text,
                analysed.text,
            )
            if gone.status_code == 204:
                assert (await first.get("/v1/jobs", params=body)).json()["data"] == []


async def test_the_same_analysis_asked_for_at_once_is_one_job(
    service_settings: Settings, api_key: str, dataset_id: str
) -> None:
    async with client_of(service_settings, api_key) as first, client_of(service_settings, api_key) as second:
        body = {"dataset_id": dataset_id}
        answers = await asyncio.gather(
            *(client.post("/v1/analyses", json=body) for client in (first, second) for _ in range(5))
        )
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["job_id"] for answer in answers}) == 1


async def test_pages_of_one_are_read_on_by_the_other(service_settings: Settings, api_key: str, dataset_id: str) -> None:
    async with client_of(service_settings, api_key) as first, client_of(service_settings, api_key) as second:
        made = [(await _post(client, dataset_id)) for client in (first, second, first)]
        page = (await first.get("/v1/jobs", params={"limit": 2})).json()
        rest = (await second.get("/v1/jobs", params={"limit": 2, "cursor": page["next_cursor"]})).json()
        assert [job["id"] for job in page["data"] + rest["data"]] == made[::-1]


async def _post(client: httpx.AsyncClient, dataset_id: str) -> str:
    return str((await client.post("/v1/jobs", json={"dataset_id": dataset_id})).json()["id"])
