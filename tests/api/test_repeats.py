"""One key sent to two API processes through real sockets, and an API that dies by SIGKILL at the worst moments."""

import asyncio
import signal
import time
from typing import Any

import httpx
import pytest

from chaos_store.engine import Database
from chaos_store.settings import Settings
from tests.api.conftest import add_dataset
from tests.apis import api

KEY = {"Idempotency-Key": "one-and-only"}
PATIENT = httpx.Timeout(120.0)
REPEATS = 50


@pytest.fixture
def dataset_id(database: Database, project_id: str) -> str:
    return add_dataset(database, project_id)


@pytest.fixture
def headers(api_key: str) -> dict[str, str]:
    return KEY | {"Authorization": f"Bearer {api_key}"}


async def test_fifty_at_once_through_two_processes_make_one_job(
    service_settings: Settings, headers: dict[str, str], dataset_id: str
) -> None:
    body = {"dataset_id": dataset_id}
    with api(service_settings) as one, api(service_settings) as two:
        async with httpx.AsyncClient(
            headers=headers, timeout=PATIENT, limits=httpx.Limits(max_connections=None)
        ) as http:
            urls = [f"{(one, two)[number % 2].url}/v1/jobs" for number in range(REPEATS)]
            answers = await asyncio.gather(*(http.post(url, json=body) for url in urls))
            other = await http.post(urls[0], json=body | {"seed": 7})
            made = (await http.get(urls[0])).json()["data"]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == len({answer.headers["location"] for answer in answers}) == 1
    assert [job["id"] for job in made] == [answers[0].json()["id"]]
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("moment", ["INSERT INTO job ", "SET made=", "body="])
def test_whenever_the_api_dies_there_is_one_job(
    service_settings: Settings, headers: dict[str, str], dataset_id: str, moment: str
) -> None:
    """Before the job is inserted, before it is committed, and between its commit and the storing of the answer."""
    settings = service_settings.model_copy(update={"idempotency_lock_s": 2.0})
    asked: dict[str, Any] = {"json": {"dataset_id": dataset_id}, "headers": headers, "timeout": PATIENT}
    with api(settings, dying_at=moment) as dying:
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{dying.url}/v1/jobs", **asked)
        assert dying.has_died() == -signal.SIGKILL
    with api(settings) as living:
        first, again = [httpx.post(f"{living.url}/v1/jobs", **asked) for _ in range(2)]
        made = httpx.get(f"{living.url}/v1/jobs", headers=headers).json()["data"]
    assert first.status_code == 202, first.text
    assert ("idempotency-replayed" in first.headers) == (moment == "body=")
    assert first.content == again.content and again.headers["idempotency-replayed"] == "true"
    assert [job["id"] for job in made] == [first.json()["id"]]
    assert first.headers["location"] == again.headers["location"] == f"/v1/jobs/{made[0]['id']}"


def test_an_upload_whose_api_died_is_one_dataset(service_settings: Settings, headers: dict[str, str]) -> None:
    settings = service_settings.model_copy(update={"idempotency_lock_s": 2.0})
    rows = b"x,y\n" + b"".join(b"%d,%d\n" % (number, number * number % 17) for number in range(60))

    def send(url: str) -> httpx.Response:
        files = {"file": ("waves.csv", rows)}
        return httpx.post(f"{url}/v1/datasets", files=files, headers=headers, timeout=PATIENT)

    with api(settings, dying_at="body=") as dying:
        with pytest.raises(httpx.TransportError):
            send(dying.url)
        assert dying.has_died() == -signal.SIGKILL
    with api(settings) as living:
        began = time.monotonic()
        answer = send(living.url)
        assert time.monotonic() - began < 60
        made = httpx.get(f"{living.url}/v1/datasets", headers=headers).json()["data"]
    assert answer.status_code == 201, answer.text
    assert made == [answer.json()]
