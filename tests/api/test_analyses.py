from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from chaos_core.errors import TooShort
from chaos_store import analyses, artifacts, commands, jobs, keys
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.tables import AnalysisRow, Job
from tests.api.conftest import Walked, add_dataset, take

OPTIONS = {"embedding": {"dim": 3, "lag": 8}, "denoise": "off"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@pytest.fixture
def dataset_id(database: Database, project_id: str) -> str:
    return add_dataset(database, project_id)


def finish(database: Database, made: dict[str, Any], tau: int = 3) -> None:
    claim = take(database, made["job_id"])
    with database.write.begin() as session:
        analyses.save_result(session, made["id"], {"verdict": "chaotic", "tau": tau})
        blob = DatabaseBlobs().put(session, [PNG])
        artifacts.create(
            session,
            project_id=claim.project_id,
            job_id=claim.job_id,
            kind="figure",
            name="divergence.png",
            media_type="image/png",
            blob=blob,
        )
        jobs.succeed(session, claim)


def count(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Job)) or 0


async def post(client: httpx.AsyncClient, dataset_id: str, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = await client.post("/v1/analyses", json={"dataset_id": dataset_id, **body})
    return answer.status_code, answer.json()


async def test_an_analysis_is_a_job_and_shows_its_result(
    client: httpx.AsyncClient, walked: Walked, database: Database
) -> None:
    answer = await client.post("/v1/analyses", json={"dataset_id": walked.dataset_id, "fresh": True})
    made = answer.json()
    assert (answer.status_code, made["status"], made["result"]) == (202, "queued", None)
    job = (await client.get(made["links"]["job"])).json()
    assert (job["kind"], job["analysis_id"], job["status"]) == ("analyse", made["id"], "queued")
    claim = take(database, job["id"])
    with database.write.begin() as session:
        analyses.save_result(session, made["id"], {"verdict": "periodic", "tau": None})
        jobs.succeed(session, claim)
    done = (await client.get(answer.headers["location"], params={"wait": 5})).json()
    assert (done["status"], done["result"]) == ("succeeded", {"verdict": "periodic", "tau": None})
    newest = (await client.get(f"/v1/datasets/{walked.dataset_id}/analysis")).json()
    assert newest == done


async def test_a_failed_analysis_shows_the_jobs_problem(
    client: httpx.AsyncClient, walked: Walked, database: Database
) -> None:
    made = (await client.post("/v1/analyses", json={"dataset_id": walked.dataset_id, "fresh": True})).json()
    claim = take(database, made["job_id"])
    with database.write.begin() as session:
        jobs.fail(session, claim, TooShort("3 rows", rows=3).problem())
    seen = (await client.get(f"/v1/analyses/{made['id']}")).json()
    assert (seen["status"], seen["error"]["code"]) == ("failed", "too_short")


async def test_analyses_are_listed_by_dataset_and_paged(client: httpx.AsyncClient, walked: Walked) -> None:
    for _ in range(2):
        await client.post("/v1/analyses", json={"dataset_id": walked.dataset_id, "fresh": True})
    params = {"dataset_id": walked.dataset_id, "limit": "2"}
    first = (await client.get("/v1/analyses", params=params)).json()
    second = (await client.get("/v1/analyses", params=params | {"cursor": first["next_cursor"]})).json()
    assert [row["id"] for row in second["data"]] == [walked.analysis_id]
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)
    assert (await client.get("/v1/analyses", params={"dataset_id": "ds_none"})).json()["data"] == []


async def test_the_same_wish_is_answered_by_the_same_analysis_from_its_queueing_on(
    client: httpx.AsyncClient, dataset_id: str, database: Database
) -> None:
    status, made = await post(client, dataset_id, options=OPTIONS)
    assert (status, made["options"]) == (202, OPTIONS)
    assert await post(client, dataset_id, options={**OPTIONS, "dynamics": "auto"}) == (202, made)
    finish(database, made)
    answer = await client.post("/v1/analyses", json={"dataset_id": dataset_id, "options": OPTIONS})
    again = answer.json()
    assert (answer.status_code, again["id"], again["result"]["tau"]) == (200, made["id"], 3)
    assert answer.headers["location"] == again["links"]["self"]
    assert count(database) == 1


@pytest.mark.parametrize("options", [{}, {"denoise": "off"}, {"embedding": {"dim": 3, "lag": 9}, "denoise": "off"}])
async def test_other_options_make_another_analysis(
    client: httpx.AsyncClient, dataset_id: str, database: Database, options: dict[str, Any]
) -> None:
    first = (await post(client, dataset_id, options=OPTIONS))[1]
    finish(database, first)
    status, other = await post(client, dataset_id, options=options)
    assert (status, other["status"], other["result"], other["options"]) == (202, "queued", None, options)
    assert other["id"] != first["id"]


async def test_fresh_makes_another_and_what_is_finished_is_preferred(
    client: httpx.AsyncClient, dataset_id: str, database: Database
) -> None:
    first = (await post(client, dataset_id))[1]
    finish(database, first)
    status, other = await post(client, dataset_id, fresh=True)
    assert status == 202 and other["id"] != first["id"]
    assert (await post(client, dataset_id))[1]["id"] == first["id"]
    finish(database, other)
    assert (await post(client, dataset_id))[1]["id"] == other["id"]


async def test_what_failed_was_cancelled_or_is_set_aside_is_not_used_again(
    client: httpx.AsyncClient, dataset_id: str, database: Database, project_id: str
) -> None:
    failed = (await post(client, dataset_id))[1]
    claim = take(database, failed["job_id"])
    with database.write.begin() as session:
        jobs.fail(session, claim, TooShort("3 rows", rows=3).problem())
    known = {failed["id"]}
    for command in (commands.request_cancel, commands.request_pause):
        status, made = await post(client, dataset_id)
        assert status == 202 and made["id"] not in known
        known.add(made["id"])
        with database.write.begin() as session:
            command(session, project_id, made["job_id"])
    assert (await post(client, dataset_id))[1]["id"] not in known


async def test_the_result_of_another_version_of_the_analyser_is_not_used_again(
    client: httpx.AsyncClient, dataset_id: str, database: Database
) -> None:
    old = (await post(client, dataset_id))[1]
    finish(database, old)
    with database.write.begin() as session:
        session.execute(update(AnalysisRow).values(analyser_version=0))
    assert (await post(client, dataset_id))[0] == 202
    assert (await client.get(old["links"]["self"])).json()["result"]["tau"] == 3


async def test_the_same_series_uploaded_twice_is_analysed_once(
    client: httpx.AsyncClient, dataset_id: str, database: Database, project_id: str
) -> None:
    twin, other = add_dataset(database, project_id), add_dataset(database, project_id, dt=0.2)
    made = (await post(client, dataset_id))[1]
    finish(database, made)
    assert (await post(client, twin))[1]["id"] == made["id"]
    assert (await client.get(f"/v1/datasets/{twin}/analysis")).json()["id"] == made["id"]
    assert (await post(client, other))[1]["id"] != made["id"]
    assert (await client.delete(f"/v1/datasets/{dataset_id}", params={"cascade": True})).status_code == 204
    assert (await post(client, twin))[0] == 202


async def test_an_analysis_of_another_project_is_never_returned(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database, dataset_id: str
) -> None:
    key = stranger.headers["authorization"].removeprefix("Bearer ")
    made = (await post(client, dataset_id))[1]
    finish(database, made)
    foreign = add_dataset(database, _project_of(database, key))
    assert (await post(stranger, dataset_id))[0] == 404
    status, own = await post(stranger, foreign)
    assert (status, own["result"]) == (202, None)
    assert own["id"] != made["id"]
    seen = await stranger.get(f"/v1/datasets/{foreign}/analysis")
    assert seen.json()["id"] == own["id"]


def _project_of(database: Database, key: str) -> str:
    with database.read() as session:
        found = session.scalar(keys.find(key))
        assert found is not None
        return found.project_id


async def test_the_analysis_of_a_dataset_is_the_newest_without_options(
    client: httpx.AsyncClient, dataset_id: str, database: Database
) -> None:
    odd = (await post(client, dataset_id, options=OPTIONS))[1]
    finish(database, odd, tau=99)
    assert (await client.get(f"/v1/datasets/{dataset_id}/analysis")).status_code == 404
    plain = (await post(client, dataset_id))[1]
    odd = (await post(client, dataset_id, options=OPTIONS, fresh=True))[1]
    finish(database, odd, tau=99)
    assert (await client.get(f"/v1/datasets/{dataset_id}/analysis")).json()["id"] == plain["id"]


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"dynamics": "chaos"}, ["dynamics"]),
        ({"embedding": {"dim": 0}}, ["embedding", "dim"]),
        ({"embedding": {"dim": 2, "delay": 3}}, ["embedding", "delay"]),
        ({"embedding": "none"}, ["embedding"]),
        ({"period_steps": 1}, ["period_steps"]),
        ({"theiler_steps": 0}, ["theiler_steps"]),
        ({"window": 3}, ["window"]),
    ],
    ids=str,
)
async def test_a_bad_option_is_named(
    client: httpx.AsyncClient, dataset_id: str, options: dict[str, Any], place: list[str]
) -> None:
    status, problem = await post(client, dataset_id, options=options)
    assert (status, problem["code"]) == (422, "invalid_request")
    assert [violation["loc"] for violation in problem["errors"]] == [["body", "options", *place]]


async def test_the_figure_is_sent_once_it_is_there(
    client: httpx.AsyncClient, dataset_id: str, database: Database
) -> None:
    made = (await post(client, dataset_id))[1]
    path = f"/v1/analyses/{made['id']}/figure"
    missing = await client.get(path)
    assert (missing.status_code, missing.json()["code"], made["links"]["figure"]) == (404, "not_found", None)
    finish(database, made)
    assert (await client.get(made["links"]["self"])).json()["links"]["figure"] == path
    figure = await client.get(path)
    assert (figure.status_code, figure.headers["content-type"], figure.content) == (200, "image/png", PNG)
    head = await client.head(path)
    assert (head.headers["etag"], head.headers["content-length"]) == (figure.headers["etag"], str(len(PNG)))
