"""One key, one effect, one answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Response
from sqlalchemy import update

from api.app import create_app
from api.deps import Known, Shared
from api.idempotency import repeatable
from chaos_store import gc, idempotency
from chaos_store.engine import Database, now
from chaos_store.idempotency import Claim
from chaos_store.settings import Settings
from chaos_store.tables import Dataset, IdempotencyKey, Project
from tests.api.conftest import Walked, add_dataset, client_of
from tests.api.living import a_fitted, lives

KEY = {"Idempotency-Key": "7d5a2f0e-5b0c"}
CSV = b"x,y\n" + b"".join(b"%d,%d\n" % (number, number * number % 17) for number in range(60))
SPARE: dict[str, Any] = {"execution_options": {"synchronize_session": False}}


@pytest.fixture
def dataset_id(database: Database, project_id: str) -> str:
    return add_dataset(database, project_id)


@pytest.fixture
def service_settings(service_settings: Settings) -> Settings:
    return service_settings.model_copy(update={"idempotency_wait_s": 0.3})


@pytest.fixture
def alter(database: Database) -> Callable[..., None]:
    """Changes the rows of all keys."""

    def change(**values: Any) -> None:
        with database.write.begin() as session:
            session.execute(update(IdempotencyKey).values(values), **SPARE)

    return change


@pytest.fixture
def lose_answers(alter: Callable[..., None]) -> Callable[[], None]:
    """As it is where the API died after its effect and before its answer was stored."""
    return lambda: alter(status=None, media_type=None, location=None, body=None, locked_until=now() - 1)


async def _total(client: httpx.AsyncClient, noun: str = "jobs") -> int:
    return len((await client.get(f"/v1/{noun}")).json()["data"])


def _same(first: httpx.Response, again: httpx.Response) -> bool:
    names = ("location", "content-type")
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true", again.text
    told = [(one.status_code, one.content, *(one.headers.get(name) for name in names)) for one in (first, again)]
    return told[0] == told[1]


async def test_a_repeat_gets_the_same_answer_and_makes_nothing(client: httpx.AsyncClient, dataset_id: str) -> None:
    body = {"dataset_id": dataset_id, "seed": 3}
    first, again, third = [await client.post("/v1/jobs", json=body, headers=KEY) for _ in range(3)]
    assert first.status_code == 202 and first.headers["location"] == f"/v1/jobs/{first.json()['id']}"
    assert _same(first, again) and _same(first, third)
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await _total(client) == 1
    assert (await client.post("/v1/jobs", json=body)).json()["id"] != first.json()["id"]


@pytest.mark.parametrize(
    ("path", "change"), [("/v1/jobs", {"seed": 2}), ("/v1/jobs?a=1", {}), ("/v1/analyses", {}), ("/v1/baselines", {})]
)
async def test_the_key_of_another_request_is_refused(
    client: httpx.AsyncClient, dataset_id: str, path: str, change: dict[str, Any]
) -> None:
    body = {"dataset_id": dataset_id}
    await client.post("/v1/jobs", json=body, headers=KEY)
    spec = {"spec": {"baseline": {"kind": "ngrc"}}} if "baselines" in path else {}
    answer = await client.post(path, json=body | change | spec, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await _total(client) == 1


@pytest.mark.parametrize("key", ["", "two words", "ü", "x" * 256, "tab\t!"])
async def test_a_key_that_is_none_is_refused(client: httpx.AsyncClient, dataset_id: str, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    answer = await client.post("/v1/jobs", json={"dataset_id": dataset_id}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["loc"] == ["header", "Idempotency-Key"]
    assert await _total(client) == 0


async def test_the_longest_key_is_taken(client: httpx.AsyncClient, dataset_id: str) -> None:
    headers = {"Idempotency-Key": "~" * 255}
    first, again = [await client.post("/v1/jobs", json={"dataset_id": dataset_id}, headers=headers) for _ in range(2)]
    assert _same(first, again)


async def test_projects_have_their_own_keys(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, dataset_id: str
) -> None:
    body = {"dataset_id": dataset_id}
    assert (await client.post("/v1/jobs", json=body, headers=KEY)).status_code == 202
    assert (await stranger.post("/v1/jobs", json=body, headers=KEY)).json()["code"] == "not_found"


def _form(content: bytes = CSV, **fields: str) -> dict[str, Any]:
    return {"files": {"file": ("waves.csv", content, "text/csv")}, "data": {"name": "waves", **fields}}


async def test_an_upload_is_the_same_whatever_stands_between_its_parts(client: httpx.AsyncClient) -> None:
    first, again = [await client.post("/v1/datasets", headers=KEY, **_form()) for _ in range(2)]
    assert first.status_code == 201, first.text
    assert first.request.headers["content-type"] != again.request.headers["content-type"]
    assert _same(first, again)
    for other in (_form(CSV + b"61,1\n"), _form(dt="0.1"), _form(name="others")):
        assert (await client.post("/v1/datasets", headers=KEY, **other)).json()["code"] == "idempotency_key_reused"
    assert await _total(client, "datasets") == 1


async def test_what_the_handler_refused_is_refused_again(client: httpx.AsyncClient, dataset_id: str) -> None:
    """As with Stripe and the IETF draft: a late repeat must not do what its client was told is not done."""
    job = (await client.post("/v1/jobs", json={"dataset_id": dataset_id})).json()
    first = await client.post(f"/v1/jobs/{job['id']}/retry", headers=KEY)
    await client.post(f"/v1/jobs/{job['id']}/cancel")
    again = await client.post(f"/v1/jobs/{job['id']}/retry", headers=KEY)
    assert (first.status_code, first.json()["code"]) == (409, "job_not_retryable")
    assert _same(first, again)
    assert (await client.get(f"/v1/jobs/{job['id']}")).json()["status"] == "cancelled"


async def test_what_was_refused_before_anything_was_done_leaves_the_key_free(
    client: httpx.AsyncClient, dataset_id: str
) -> None:
    refusals = [
        await client.post("/v1/jobs", content=b"{", headers=KEY | {"Content-Type": "application/json"}),
        await client.post("/v1/jobs", content=b"{}", headers=KEY | {"Content-Type": "text/plain"}),
        await client.post("/v1/jobs", json={"dataset_id": dataset_id, "sed": 1}, headers=KEY),
        await client.post("/v1/jobs", json={"dataset_id": dataset_id}, headers=KEY | {"Authorization": "Bearer no"}),
        await client.post("/v1/datasets", headers=KEY, data={"dt": "1"}, files={"fill": ("a.csv", CSV)}),
    ]
    assert [answer.status_code for answer in refusals] == [400, 415, 422, 401, 422]
    assert (await client.post("/v1/jobs", json={"dataset_id": dataset_id}, headers=KEY)).status_code == 202


async def test_a_full_queue_leaves_the_key_free(service_settings: Settings, api_key: str, dataset_id: str) -> None:
    settings = service_settings.model_copy(update={"max_queued_jobs": 1})
    async with client_of(settings, api_key) as client:
        body = {"dataset_id": dataset_id}
        other = (await client.post("/v1/jobs", json=body)).json()
        assert (await client.post("/v1/jobs", json=body, headers=KEY)).json()["code"] == "queue_full"
        await client.post(f"/v1/jobs/{other['id']}/cancel")
        assert (await client.post("/v1/jobs", json=body, headers=KEY)).status_code == 202


async def test_a_command_is_given_once(client: httpx.AsyncClient, dataset_id: str) -> None:
    job = (await client.post("/v1/jobs", json={"dataset_id": dataset_id})).json()
    await client.post(f"/v1/jobs/{job['id']}/cancel")
    first, again = [await client.post(f"/v1/jobs/{job['id']}/retry", headers=KEY) for _ in range(2)]
    assert first.status_code == 200 and _same(first, again)


async def test_requests_that_make_nothing_take_keys_too(
    client: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    path = lives(database, project_id, a_fitted()).path
    body = {"context": [[1.0, -20.0]] * 3, "horizon": 2}
    first, again = [await client.post(f"{path}/forecast", json=body, headers=KEY) for _ in range(2)]
    assert first.status_code == 200, first.text
    assert _same(first, again)


async def test_while_the_first_is_under_way_others_wait_and_then_hear_when_to_come_again(
    client: httpx.AsyncClient, dataset_id: str, database: Database, project_id: str, alter: Callable[..., None]
) -> None:
    body = {"dataset_id": dataset_id}
    await client.post("/v1/jobs", json=body, headers=KEY)
    alter(status=None, made=None, locked_until=now() + 60)
    answer = await client.post("/v1/jobs", json=body, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_progress")
    assert int(answer.headers["retry-after"]) > 0
    other = await client.post("/v1/jobs", json=body | {"seed": 9}, headers=KEY)
    assert other.json()["code"] == "idempotency_key_reused"
    alter(locked_until=now() - 1)
    assert (await client.post("/v1/jobs", json=body, headers=KEY)).status_code == 202


async def test_a_lost_answer_is_built_anew_from_what_was_made(
    client: httpx.AsyncClient, walked: Walked, database: Database, project_id: str, lose_answers: Callable[[], None]
) -> None:
    living = lives(database, project_id, a_fitted())
    posts: list[tuple[str, dict[str, Any]]] = [
        ("/v1/jobs", {"json": {"dataset_id": walked.dataset_id}}),
        ("/v1/analyses", {"json": {"dataset_id": walked.dataset_id, "fresh": True}}),
        ("/v1/baselines", {"json": {"dataset_id": walked.dataset_id, "spec": {"baseline": {"kind": "ngrc"}}}}),
        (f"/v1/jobs/{walked.job_id}/clone", {"json": {"seed": 4}}),
        (f"{living.path}/trajectories", {"json": {"steps": 5}}),
        ("/v1/datasets", _form()),
        ("/v1/systems/lorenz63/datasets", {"json": {"steps": 200}}),
    ]
    for number, (path, content) in enumerate(posts):
        headers = {"Idempotency-Key": f"k{number}"}
        first = await client.post(path, headers=headers, **content)
        assert first.is_success, first.text
        lose_answers()
        second, third = [await client.post(path, headers=headers, **content) for _ in range(2)]
        assert first.json() == second.json() and second.content == third.content, path
        assert first.headers["location"] == second.headers["location"], path
        assert (first.status_code, third.headers["idempotency-replayed"]) == (second.status_code, "true"), path


async def test_a_large_upload_that_lost_its_answer_is_still_202(
    service_settings: Settings, api_key: str, lose_answers: Callable[[], None]
) -> None:
    async with client_of(service_settings.model_copy(update={"inline_upload_bytes": 10}), api_key) as client:
        first = await client.post("/v1/datasets", headers=KEY, **_form())
        lose_answers()
        again = await client.post("/v1/datasets", headers=KEY, **_form())
        assert (first.status_code, again.status_code, again.headers["idempotency-replayed"]) == (202, 202, "true")
        assert first.json() == again.json()
        assert await _total(client, "datasets") == 1


async def test_a_command_that_lost_its_answer_shows_the_job(
    client: httpx.AsyncClient, dataset_id: str, lose_answers: Callable[[], None]
) -> None:
    job = (await client.post("/v1/jobs", json={"dataset_id": dataset_id})).json()
    await client.post(f"/v1/jobs/{job['id']}/cancel")
    first = await client.post(f"/v1/jobs/{job['id']}/retry", headers=KEY)
    lose_answers()
    again = await client.post(f"/v1/jobs/{job['id']}/retry", headers=KEY)
    assert _same(first, again)


async def test_a_lost_answer_of_what_has_gone_names_what_was_made(
    client: httpx.AsyncClient, dataset_id: str, lose_answers: Callable[[], None]
) -> None:
    body = {"dataset_id": dataset_id}
    job = (await client.post("/v1/jobs", json=body, headers=KEY)).json()
    await client.post(f"/v1/jobs/{job['id']}/cancel")
    await client.delete(f"/v1/jobs/{job['id']}")
    lose_answers()
    answer = await client.post("/v1/jobs", json=body, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_answer_lost")
    assert answer.json()["made"] == [f"job/{job['id']}"] and job["id"] in answer.json()["detail"]
    assert await _total(client) == 0


async def test_a_key_whose_time_is_over_is_new_again_and_then_collected(
    client: httpx.AsyncClient, dataset_id: str, database: Database, alter: Callable[..., None]
) -> None:
    body = {"dataset_id": dataset_id}
    first = await client.post("/v1/jobs", json=body, headers=KEY)
    alter(expires_at=now() - 1, locked_until=now() - 1)
    second = await client.post("/v1/jobs", json=body | {"seed": 1}, headers=KEY)
    assert second.status_code == 202 and second.json()["id"] != first.json()["id"]
    assert gc.collect(database, grace_s=3600.0).idempotency_keys == 0
    alter(expires_at=now() - 1, locked_until=now() - 1)
    assert gc.collect(database, grace_s=3600.0).idempotency_keys == 1
    assert gc.collect(database, grace_s=3600.0).idempotency_keys == 0


async def test_a_request_that_lost_its_lock_commits_nothing(
    client: httpx.AsyncClient, database: Database, project_id: str, dataset_id: str
) -> None:
    idempotency.follow(database)
    slow, quick = (Claim(project_id, "k", "same") for _ in range(2))
    with database.write.begin() as session:
        assert idempotency.take(session, slow, lock_s=-1.0, keep_s=60.0)
    with database.write.begin() as session:
        assert idempotency.take(session, quick, lock_s=60.0, keep_s=60.0)
        assert not idempotency.take(session, slow, lock_s=60.0, keep_s=60.0)
    for claim, names in ((slow, set()), (quick, {"waves", "new"})):
        try:
            with idempotency.acting(claim), database.write.begin() as session:
                session.add(_copy(session.get_one(Dataset, dataset_id)))
        except idempotency.IdempotencyInProgress:
            assert claim is slow
        found = {row["name"] for row in (await client.get("/v1/datasets")).json()["data"]}
        assert found == (names or {"waves"})
    assert quick.made is not None and len(quick.made) == 1 and slow.made is None


def _copy(row: Dataset) -> Dataset:
    return Dataset(
        project_id=row.project_id, name="new", status="ready", size_bytes=1, content_sha256=row.content_sha256
    )


@asynccontextmanager
async def _odd(settings: Settings, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app with routes of its own kind."""
    router = APIRouter(prefix="/odd")
    made = create_app(settings)

    @router.post("/secret")
    async def secret(caller: Known, context: Shared, response: Response) -> dict[str, str]:
        async with context.write() as session:
            session.add(Project(name="a secret one"))
        response.headers["Cache-Control"] = "no-store"
        return {"secret": "shown once"}

    @router.post("/telling")
    async def telling(caller: Known, context: Shared) -> dict[str, str]:
        async with context.write() as session:
            session.add(Project(name="a telling one"))
        return {"secret": "forgotten header"}

    @router.post("/broken")
    async def broken(context: Shared) -> None:
        async with context.write() as session:
            session.add(Project(name="a broken one"))
        raise RuntimeError("after the commit")

    @router.post("/slow")
    async def slow(caller: Known, context: Shared) -> dict[str, str]:
        await asyncio.sleep(3.0)
        async with context.write() as session:
            session.add(Project(name="a slow one"))
        return {"slow": "done"}

    made.include_router(repeatable([router], "/v1")[0], prefix="/v1")
    transport = httpx.ASGITransport(made, raise_app_exceptions=False)
    headers = KEY | {"Authorization": f"Bearer {key}"}
    async with (
        made.router.lifespan_context(made),
        httpx.AsyncClient(transport=transport, base_url="http://chaos", headers=headers) as client,
    ):
        yield client


@pytest.mark.parametrize("path", ["/v1/odd/secret", "/v1/odd/telling", "/v1/odd/broken"])
async def test_a_new_post_is_guarded_by_itself_and_keeps_no_secret_and_no_mistake(
    service_settings: Settings, api_key: str, path: str
) -> None:
    async with _odd(service_settings, api_key) as client:
        first, again = [await client.post(path) for _ in range(2)]
    assert first.status_code == (500 if "broken" in path else 200)
    assert again.json()["code"] == "idempotency_answer_lost" and "project/prj_" in again.json()["detail"]


async def test_the_lock_of_a_slow_request_is_renewed(service_settings: Settings, api_key: str) -> None:
    settings = service_settings.model_copy(update={"idempotency_lock_s": 2.0, "idempotency_wait_s": 60.0})
    async with _odd(settings, api_key) as client:
        answers = await asyncio.gather(*(client.post("/v1/odd/slow") for _ in range(3)))
    assert [answer.json() for answer in answers] == [{"slow": "done"}] * 3
    assert sorted(answer.headers.get("idempotency-replayed", "") for answer in answers) == ["", "true", "true"]


def test_every_post_and_nothing_else_declares_the_key(app: FastAPI) -> None:
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            names = {parameter["name"] for parameter in operation.get("parameters", [])}
            assert ("Idempotency-Key" in names) == (method == "post"), (method, path)
            if method == "post":
                said = {status: one["description"] for status, one in operation["responses"].items()}
                assert "`idempotency_key_reused`" in said["422"] and "`idempotency_in_progress`" in said["409"]
                assert "`idempotency_answer_lost`" in said["409"], path
