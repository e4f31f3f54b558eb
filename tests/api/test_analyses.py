import httpx

from chaos_core.errors import TooShort
from chaos_store import analyses, jobs
from chaos_store.engine import Database
from tests.api.conftest import Walked, take


async def test_an_analysis_is_a_job_and_shows_its_result(
    client: httpx.AsyncClient, walked: Walked, database: Database
) -> None:
    answer = await client.post("/v1/analyses", json={"dataset_id": walked.dataset_id})
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
    made = (await client.post("/v1/analyses", json={"dataset_id": walked.dataset_id})).json()
    claim = take(database, made["job_id"])
    with database.write.begin() as session:
        jobs.fail(session, claim, TooShort("3 rows", rows=3).problem())
    seen = (await client.get(f"/v1/analyses/{made['id']}")).json()
    assert (seen["status"], seen["error"]["code"]) == ("failed", "too_short")


async def test_analyses_are_listed_by_dataset_and_paged(client: httpx.AsyncClient, walked: Walked) -> None:
    for _ in range(2):
        await client.post("/v1/analyses", json={"dataset_id": walked.dataset_id})
    params = {"dataset_id": walked.dataset_id, "limit": "2"}
    first = (await client.get("/v1/analyses", params=params)).json()
    second = (await client.get("/v1/analyses", params=params | {"cursor": first["next_cursor"]})).json()
    assert [row["id"] for row in second["data"]] == [walked.analysis_id]
    assert (first["has_more"], second["has_more"], second["next_cursor"]) == (True, False, None)
    assert (await client.get("/v1/analyses", params={"dataset_id": "ds_none"})).json()["data"] == []
