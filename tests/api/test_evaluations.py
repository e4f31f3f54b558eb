"""Evaluations over HTTP: what is asked is checked at once, and kept with every default filled in."""

from typing import Any

import httpx
import pytest

from chaos_core.metrics import METRICS
from chaos_store import analyses, jobs
from chaos_store.engine import Database
from chaos_store.tables import Dataset
from tests.api.conftest import Walked, add_dataset, take
from tests.api.living import Living, a_fitted, lives

Json = dict[str, Any]


@pytest.fixture
def living(database: Database, project_id: str) -> Living:
    return lives(database, project_id, a_fitted(dim=2))


def of_run(living: Living, **more: Any) -> Json:
    true, generated = {"dataset_id": living.ids.dataset_id}, {"trajectory_id": living.ids.trajectory_id}
    return {"true": true, "generated": generated, **more}


async def test_an_evaluation_is_a_job_of_its_own(
    client: httpx.AsyncClient, living: Living, database: Database, project_id: str
) -> None:
    answer = await client.post("/v1/evaluations", json=of_run(living, labels={"try": "1"}))
    made = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, made["links"]["self"])
    assert (made["status"], made["scores"], made["error"]) == ("queued", None, None)
    assert (made["dataset_id"], made["trajectory_id"]) == (living.ids.dataset_id, living.ids.trajectory_id)
    scoring = made["options"]["scoring"]
    assert scoring["metrics"] == list(METRICS)
    assert (scoring["preset"], scoring["generated_as"], scoring["discard_share"]) == ("dsr-v1", "free_run", 0.0)
    assert (scoring["embedding"], scoring["noise"]) == ({"dim": 2, "lag": 2}, []), "those of the model"
    job = (await client.get(made["links"]["job"])).json()
    assert (job["kind"], job["labels"], job["dataset_id"]) == ("evaluate", {"try": "1"}, living.ids.dataset_id)
    claim = take(database, job["id"])
    scores = {"d_stsp": {"value": 0.3, "floor": 0.2, "reason": None}}
    with database.write.begin() as session:
        jobs.succeed(session, claim, scores=scores)
    done = (await client.get(f"{made['links']['self']}?wait=5")).json()
    assert (done["status"], done["scores"]["d_stsp"]["value"]) == ("succeeded", 0.3)
    assert done["finished_at"] is not None


async def test_a_failed_evaluation_says_why(client: httpx.AsyncClient, living: Living, database: Database) -> None:
    made = (await client.post("/v1/evaluations", json=of_run(living))).json()
    claim = take(database, made["job_id"])
    with database.write.begin() as session:
        jobs.fail(session, claim, {"code": "too_short", "detail": "no rows", "title": "t", "remedy": "r"})
    done = (await client.get(made["links"]["self"])).json()
    assert (done["status"], done["error"]["code"], done["scores"]) == ("failed", "too_short", None)


async def test_evaluations_are_listed_and_filtered(
    client: httpx.AsyncClient, living: Living, database: Database, project_id: str
) -> None:
    other = add_dataset(database, project_id)
    first = (await client.post("/v1/evaluations", json=of_run(living))).json()
    body = {"true": {"dataset_id": other}, "generated": {"dataset_id": living.ids.dataset_id}}
    second = (await client.post("/v1/evaluations", json=body)).json()
    assert second["links"]["generated"] == f"/v1/datasets/{living.ids.dataset_id}"

    async def found(query: str = "") -> list[str]:
        return [row["id"] for row in (await client.get(f"/v1/evaluations{query}")).json()["data"]]

    assert await found() == [second["id"], first["id"]]
    assert await found("?order=asc&limit=1") == [first["id"]]
    assert await found(f"?dataset_id={other}") == await found(f"?generated_dataset_id={living.ids.dataset_id}")
    assert await found(f"?trajectory_id={living.ids.trajectory_id}&status=queued") == [first["id"]]
    assert await found("?status=succeeded") == []
    await client.post(f"/v1/jobs/{second['job_id']}/cancel")
    assert await found("?status=cancelled") == [second["id"]]
    assert (await client.delete(f"/v1/jobs/{second['job_id']}")).status_code == 204
    assert await found() == [first["id"]]
    assert (await client.get(second["links"]["self"])).status_code == 404


async def test_the_exponent_of_the_newest_analysis_is_taken_for_forecasts(
    client: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    true, other = add_dataset(database, project_id), add_dataset(database, project_id)
    with database.write.begin() as session:
        row, _ = analyses.request(session, project_id=project_id, dataset_id=true, max_attempts=1)
        analyses.save_result(session, row.id, {"tau": 7, "lambda_max_per_step": 0.09})
    body = {"true": {"dataset_id": true}, "generated": {"dataset_id": other}, "generated_as": "forecast_path"}
    found = (await client.post("/v1/evaluations", json=body)).json()["options"]["scoring"]
    assert found["lambda_max_per_step"] == 0.09
    own = (await client.post("/v1/evaluations", json=body | {"lambda_max_per_step": 0.2})).json()
    assert own["options"]["scoring"]["lambda_max_per_step"] == 0.2


async def test_sides_that_do_not_fit_are_refused_at_once(
    client: httpx.AsyncClient, living: Living, database: Database, project_id: str
) -> None:
    slow = add_dataset(database, project_id, dt=0.2)
    for body, word in (
        ({"true": {"dataset_id": slow}, "generated": {"trajectory_id": living.ids.trajectory_id}}, "dt"),
        ({"true": {"dataset_id": slow}, "generated": {"dataset_id": living.ids.dataset_id}}, "dt"),
        (of_run(living, noise=[0.1]), "noise has 1"),
        (of_run(living) | {"generated": {"trajectory_id": living.ids.trajectory_id, "run": 1}}, "no run 1"),
    ):
        answer = await client.post("/v1/evaluations", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "inconsistent_spec"), answer.text
        assert word in answer.json()["detail"]
    assert (await client.get("/v1/evaluations")).json()["data"] == []


async def test_of_several_runs_one_must_be_named(client: httpx.AsyncClient, living: Living) -> None:
    asked = {"steps": 20, "members": 3, "spread": 0.1}
    run = (await client.post(f"{living.path}/trajectories", json=asked)).json()["id"]
    answers = {}
    for named in (None, 2, "all", 3):
        body = of_run(living) | {"generated": {"trajectory_id": run} | ({} if named is None else {"run": named})}
        answers[named] = await client.post("/v1/evaluations", json=body)
    assert [answer.status_code for answer in answers.values()] == [422, 202, 202, 422]
    assert "say which" in answers[None].json()["detail"] and answers[None].json()["runs"] == 3
    assert [answers[named].json()["options"]["generated"]["run"] for named in (2, "all")] == [2, "all"]


BAD = [
    ({"generated": {}}, ["body", "generated"], "either"),
    ({"generated": {"dataset_id": "ds_1", "trajectory_id": "trj_1"}}, ["body", "generated"], "either"),
    ({"generated": {"dataset_id": "ds_1", "run": 0}}, ["body", "generated"], "run chooses"),
    ({"generated": {"trajectory_id": "trj_1", "piece": "test"}}, ["body", "generated"], "taken whole"),
    ({"generated": {"trajectory_id": "trj_1", "run": -1}}, ["body", "generated"], "counted from 0"),
    ({"preset": "best"}, ["body", "preset"], "known: alrnn"),
    ({"metrics": ["d_stps"]}, ["body", "metrics", 0], "known: correlation_dimension"),
    ({"metrics": ["d_h", "d_h"]}, ["body"], "twice"),
    ({"generated_as": "forecast_path", "discard_share": 0.1}, ["body"], "discard_share"),
    ({"noise": [-1.0]}, ["body", "noise", 0], "greater"),
    ({"embeding": {"dim": 2}}, ["body", "embeding"], "no such field"),
]


@pytest.mark.parametrize(("words", "loc", "message"), BAD)
async def test_a_bad_order_is_told_where_it_is_bad(
    client: httpx.AsyncClient, walked: Walked, words: Json, loc: list[Any], message: str
) -> None:
    good = {"true": {"dataset_id": walked.dataset_id}, "generated": {"trajectory_id": walked.trajectory_id}}
    answer = await client.post("/v1/evaluations", json=good | words)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_request")
    assert problem["errors"][0]["loc"] == loc and message in problem["errors"][0]["msg"]


async def test_a_dataset_that_is_not_read_yet_is_no_side(
    client: httpx.AsyncClient, living: Living, database: Database
) -> None:
    with database.write.begin() as session:
        from_row = session.get_one(Dataset, living.ids.dataset_id)
        from_row.status = "processing"
    answer = await client.post("/v1/evaluations", json=of_run(living))
    assert (answer.status_code, answer.json()["code"]) == (409, "dataset_not_ready")


async def test_the_scored_run_may_be_deleted_while_its_evaluation_waits(
    client: httpx.AsyncClient, living: Living, database: Database
) -> None:
    made = (await client.post("/v1/evaluations", json=of_run(living))).json()
    assert (await client.delete(living.path)).status_code == 204
    found = (await client.get(made["links"]["self"])).json()
    assert (found["status"], found["trajectory_id"]) == ("queued", living.ids.trajectory_id)
