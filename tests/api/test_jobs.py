import asyncio
import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from chaos_core.errors import Diverged
from chaos_store import jobs
from chaos_store.engine import Database
from tests.api.conftest import Walked, add_dataset, add_job, take


@pytest.fixture
def dataset_id(database: Database, project_id: str) -> str:
    return add_dataset(database, project_id)


async def test_a_posted_job_is_queued_and_found_at_its_location(client: httpx.AsyncClient, dataset_id: str) -> None:
    spec = {"cell": {"kind": "clipped_shplrnn", "latent": 3, "hidden": 50}, "training": {"updates": 15000}}
    body = {"dataset_id": dataset_id, "spec": spec, "seed": 3, "labels": {"run": "a"}}
    answer = await client.post("/v1/jobs", json=body)
    job = answer.json()
    assert (answer.status_code, job["status"], job["kind"], job["object"]) == (202, "queued", "train", "job")
    assert (job["spec"], job["seed"], job["labels"]) == (spec, 3, {"run": "a"})
    assert job["created_at"].endswith("Z") and job["finished_at"] is None
    assert (await client.get(answer.headers["location"])).json() == job


async def test_an_empty_spec_stays_empty(client: httpx.AsyncClient, dataset_id: str) -> None:
    job = (await client.post("/v1/jobs", json={"dataset_id": dataset_id})).json()
    assert (job["spec"], job["seed"], job["plan"]) == ({}, 0, None)


@pytest.mark.parametrize(
    ("spec", "code", "loc"),
    [
        ({"cell": {"kind": "nonsense"}}, "unknown_kind", ["body", "spec", "cell"]),
        ({"cell": "nonsense"}, "spec_error", ["body", "spec", "cell"]),
        ({"cell": {"kind": "plrnn", "hidden": 3}}, "spec_error", ["body", "spec", "cell", "hidden"]),
        ({"cell": {"kind": "plrnn", "latent": -1}}, "spec_error", ["body", "spec", "cell", "latent"]),
        ({"training": {"updates": "many"}}, "spec_error", ["body", "spec", "training", "updates"]),
        ({"trainig": {}}, "spec_error", ["body", "spec", "trainig"]),
        ({"split": {"train": 0.5, "validation": 0.1, "test": 0.1}}, "spec_error", ["body", "spec", "split"]),
    ],
)
async def test_a_bad_spec_is_refused_at_the_place_where_it_is_bad(
    client: httpx.AsyncClient, dataset_id: str, spec: dict[str, Any], code: str, loc: list[str]
) -> None:
    answer = await client.post("/v1/jobs", json={"dataset_id": dataset_id, "spec": spec})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, code)
    assert [error["loc"] for error in problem["errors"]] == [loc]


async def test_an_unknown_kind_lists_the_known_ones(client: httpx.AsyncClient, dataset_id: str) -> None:
    body = {"dataset_id": dataset_id, "spec": {"forcing": {"kind": "teacher"}}}
    assert "sparse" in (await client.post("/v1/jobs", json=body)).json()["known"]


@pytest.mark.parametrize(
    "change", [{"seed": -1}, {"labels": {"a b": "c"}}, {"labels": {"a": "\u0000"}}, {"sed": 1}, {"dataset_id": 5}]
)
async def test_other_bad_fields_are_invalid_requests(
    client: httpx.AsyncClient, dataset_id: str, change: dict[str, Any]
) -> None:
    answer = await client.post("/v1/jobs", json={"dataset_id": dataset_id} | change)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_job_on_a_dataset_of_another_project_is_not_found(stranger: httpx.AsyncClient, dataset_id: str) -> None:
    answer = await stranger.post("/v1/jobs", json={"dataset_id": dataset_id})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_job_may_name_an_analysis_of_the_same_series(
    client: httpx.AsyncClient, walked: Walked, dataset_id: str, database: Database, project_id: str
) -> None:
    good = {"dataset_id": walked.dataset_id, "analysis_id": walked.analysis_id}
    for body in (good, good | {"dataset_id": dataset_id}):
        assert (await client.post("/v1/jobs", json=body)).json()["analysis_id"] == walked.analysis_id
    other = add_dataset(database, project_id, dt=0.2)
    answer = await client.post("/v1/jobs", json=good | {"dataset_id": other})
    assert (answer.status_code, answer.json()["code"]) == (422, "analysis_mismatch")


async def test_a_finished_job_shows_scores_model_and_trajectory(client: httpx.AsyncClient, walked: Walked) -> None:
    job = (await client.get(f"/v1/jobs/{walked.job_id}")).json()
    assert (job["status"], job["model_id"], job["trajectory_id"]) == (
        "succeeded", walked.model_id, walked.trajectory_id,
    )  # fmt: skip
    assert job["scores"]["d_stsp"] == {"value": 0.1, "floor": 0.05, "reason": None, "detail": {"bins": 30}}
    listed = (await client.get("/v1/jobs", params={"status": "succeeded"})).json()["data"]
    assert listed == [job]
    others = dict.fromkeys(("cancel", "clone", "pause", "resume", "retry"), 405) | {"archive": 422}
    for name, link in job["links"].items():
        assert (await client.get(link)).status_code == others.get(name, 200), "this model's bytes are none"


async def test_a_failed_job_carries_a_problem(
    client: httpx.AsyncClient, database: Database, project_id: str, dataset_id: str
) -> None:
    claim = take(database, add_job(database, project_id, dataset_id))
    with database.write.begin() as session:
        jobs.fail(session, claim, Diverged("the loss is nan", update=5).problem())
    error = (await client.get(f"/v1/jobs/{claim.job_id}")).json()["error"]
    assert (error["code"], error["type"], error["update"]) == ("diverged", "/v1/problems/diverged", 5)


async def test_wait_returns_as_soon_as_the_job_ends(client: httpx.AsyncClient, dataset_id: str) -> None:
    job_id = (await client.post("/v1/jobs", json={"dataset_id": dataset_id})).json()["id"]
    started = time.monotonic()
    waiting = asyncio.create_task(client.get(f"/v1/jobs/{job_id}", params={"wait": 20}))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await client.post(f"/v1/jobs/{job_id}/cancel")
    assert (await waiting).json()["status"] == "cancelled"
    assert time.monotonic() - started < 4


async def test_wait_returns_the_present_state_when_the_time_is_over(client: httpx.AsyncClient, dataset_id: str) -> None:
    job_id = (await client.post("/v1/jobs", json={"dataset_id": dataset_id})).json()["id"]
    assert (await client.get(f"/v1/jobs/{job_id}", params={"wait": 0.1})).json()["status"] == "queued"


async def test_a_stopping_service_ends_long_polls(app: FastAPI, client: httpx.AsyncClient, dataset_id: str) -> None:
    job_id = (await client.post("/v1/jobs", json={"dataset_id": dataset_id})).json()["id"]
    waiting = asyncio.create_task(client.get(f"/v1/jobs/{job_id}", params={"wait": 20}))
    await asyncio.sleep(0.1)
    app.state.context.stopping.set()
    assert (await asyncio.wait_for(waiting, 2)).json()["status"] == "queued"


async def test_events_come_in_order_and_can_be_followed(client: httpx.AsyncClient, walked: Walked) -> None:
    path = f"/v1/jobs/{walked.job_id}/events"
    everything = (await client.get(path)).json()
    assert [event["type"] for event in everything["data"]] == ["status", "status", "plan", "status"]
    assert [event["data"].get("status") for event in everything["data"]] == ["queued", "running", None, "succeeded"]
    first = (await client.get(path, params={"limit": 1})).json()
    assert (first["has_more"], first["data"]) == (True, everything["data"][:1])
    rest = (await client.get(path, params={"after": first["next_cursor"]})).json()
    assert (rest["has_more"], rest["data"]) == (False, everything["data"][1:])


async def test_metrics_come_as_series_by_name(client: httpx.AsyncClient, walked: Walked) -> None:
    path = f"/v1/jobs/{walked.job_id}/metrics"
    found = (await client.get(path)).json()["metrics"]
    assert found["loss"] == {"step": [1, 2], "value": [0.5, None], "wall": [1.7e9, 1.7e9]}
    assert list((await client.get(path, params={"names": "tau"})).json()["metrics"]) == ["tau"]
    assert (await client.get(path, params={"after_step": 1})).json()["metrics"]["loss"]["step"] == [2]


async def test_artifacts_of_a_job_are_listed(client: httpx.AsyncClient, walked: Walked) -> None:
    listed = (await client.get(f"/v1/jobs/{walked.job_id}/artifacts")).json()["data"]
    assert {artifact["kind"] for artifact in listed} == {"model", "figure", "trajectory"}


async def test_jobs_are_paged_newest_first_without_repeating(
    client: httpx.AsyncClient, database: Database, project_id: str, dataset_id: str
) -> None:
    made = [add_job(database, project_id, dataset_id) for _ in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        found = (await client.get("/v1/jobs", params=params)).json()
        seen += [job["id"] for job in found["data"]]
        made.append(add_job(database, project_id, dataset_id))
        cursor = found["next_cursor"]
        assert found["has_more"] == (cursor is not None)
        if cursor is None:
            break
    assert seen == made[:5][::-1]


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 201}, {"status": "done"}, {"page": 2}])
async def test_unknown_filters_are_refused(client: httpx.AsyncClient, params: dict[str, Any]) -> None:
    answer = await client.get("/v1/jobs", params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["loc"] == ["query", *params]


@pytest.mark.parametrize("cursor", ["zzz", "W10", "bnVsbA", "WzEsIlx1MDAwMCJd", "WyJ4Iiwiam9iXzEiXQ"])
async def test_a_cursor_that_is_not_ours_is_refused(client: httpx.AsyncClient, cursor: str) -> None:
    answer = await client.get("/v1/jobs", params={"cursor": cursor})
    assert (answer.status_code, answer.json().get("code")) == (422, "bad_cursor")
