"""Jobs like others, jobs that come first, jobs that must be done by a time."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from api.cloning import merged
from chaos_store import jobs
from chaos_store.engine import Database
from chaos_store.states import Kind
from tests.api.conftest import Walked, add_dataset, add_job, take

BODY = {
    "spec": {"cell": {"kind": "clipped_shplrnn", "hidden": 50}, "training": {"updates": 1000, "batch_size": 16}},
    "seed": 3,
    "labels": {"run": "a", "draft": "yes"},
    "limits": {"wall_s": 60.0},
    "priority": 2,
}


@pytest.fixture
async def job(client: httpx.AsyncClient, walked: Walked) -> dict[str, Any]:
    data = {"dataset_id": walked.dataset_id, "analysis_id": walked.analysis_id}
    found: dict[str, Any] = (await client.post("/v1/jobs", json=BODY | data)).json()
    return found


async def test_a_clone_without_words_is_the_same_job_once_more(client: httpx.AsyncClient, job: dict[str, Any]) -> None:
    answer = await client.post(job["links"]["clone"])
    twin = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, twin["links"]["self"])
    for name in ("kind", "status", "dataset_id", "analysis_id", "spec", "seed", "labels", "limits", "priority"):
        assert twin[name] == job[name], name
    assert twin["id"] != job["id"]
    [created] = (await client.get(twin["links"]["events"])).json()["data"]
    assert created["data"]["cloned_from"] == job["id"]


async def test_a_clone_takes_changes_and_keeps_the_rest(client: httpx.AsyncClient, job: dict[str, Any]) -> None:
    changes = {
        "spec": {"training": {"updates": 5, "batch_size": None}, "forcing": {"kind": "generalized", "alpha": 0.1}},
        "seed": 4,
        "labels": {"run": "b", "draft": None},
        "limits": {},
        "priority": -1,
    }
    twin = (await client.post(job["links"]["clone"], json=changes)).json()
    assert twin["spec"] == {
        "cell": BODY["spec"]["cell"],
        "training": {"updates": 5},
        "forcing": {"kind": "generalized", "alpha": 0.1},
    }
    assert (twin["seed"], twin["labels"], twin["priority"]) == (4, {"run": "b"}, -1)
    assert set(twin["limits"].values()) == {None}


async def test_a_finished_job_can_be_cloned_for_another_series(
    client: httpx.AsyncClient, walked: Walked, database: Database, project_id: str
) -> None:
    other = add_dataset(database, project_id, dt=0.2)
    twin = (await client.post(f"/v1/jobs/{walked.job_id}/clone", json={"dataset_id": other})).json()
    assert (twin["dataset_id"], twin["analysis_id"], twin["status"]) == (other, None, "queued")


@pytest.mark.parametrize(
    ("stored", "patch", "found"),
    [
        ({"a": {"kind": "x", "n": 1}}, {"a": {"kind": "y"}}, {"a": {"kind": "y"}}),
        ({"a": {"kind": "x", "n": 1}}, {"a": {"kind": "x", "m": 2}}, {"a": {"kind": "x", "n": 1, "m": 2}}),
        ({"a": {"n": 1}}, {"a": "auto"}, {"a": "auto"}),
        ({"a": "auto"}, {"a": {"n": 1}}, {"a": {"n": 1}}),
        ({"a": [1]}, {"a": None, "b": [2]}, {"b": [2]}),
    ],
)
def test_the_patch_is_merged(stored: dict[str, Any], patch: dict[str, Any], found: dict[str, Any]) -> None:
    before = repr(stored)
    assert merged(stored, patch) == found
    assert repr(stored) == before


@pytest.mark.parametrize(
    ("changes", "code", "loc"),
    [
        ({"spec": {"cell": {"kind": "nonsense"}}}, "unknown_kind", ["body", "spec", "cell"]),
        ({"spec": {"training": {"updates": "many"}}}, "spec_error", ["body", "spec", "training", "updates"]),
        ({"spec": {"trainig": {}}}, "spec_error", ["body", "spec", "trainig"]),
        ({"sed": 3}, "invalid_request", ["body", "sed"]),
        ({"priority": 101}, "invalid_request", ["body", "priority"]),
        ({"deadline": "tomorrow"}, "invalid_request", ["body", "deadline"]),
    ],
)
async def test_bad_changes_are_refused_where_they_are_bad(
    client: httpx.AsyncClient, job: dict[str, Any], changes: dict[str, Any], code: str, loc: list[str]
) -> None:
    problem = (await client.post(job["links"]["clone"], json=changes)).json()
    assert (problem["status"], problem["code"]) == (422, code)
    assert [error["loc"] for error in problem["errors"]] == [loc]


async def test_only_trainings_are_cloned(
    client: httpx.AsyncClient, database: Database, project_id: str, walked: Walked
) -> None:
    analysing = add_job(database, project_id, walked.dataset_id, Kind.analyse)
    answer = await client.post(f"/v1/jobs/{analysing}/clone")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_clonable")


async def test_the_highest_priority_is_next_and_equals_go_by_age(
    client: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    dataset_id = add_dataset(database, project_id)
    made = [
        (await client.post("/v1/jobs", json={"dataset_id": dataset_id, "priority": priority})).json()["id"]
        for priority in (0, 5, 0, -3, 5)
    ]
    await client.patch(f"/v1/jobs/{made[3]}", json={"priority": 9})
    with database.read() as session:
        order = [job_id for job_id, _ in session.execute(jobs.claimable(10))]
    assert order == [made[place] for place in (3, 1, 4, 0, 2)]


async def test_a_job_that_nobody_took_by_its_deadline_fails_with_its_own_code(
    client: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    dataset_id = add_dataset(database, project_id)
    soon = (datetime.now(UTC) + timedelta(seconds=0.5)).isoformat()
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    late, waiting, patient = [
        (await client.post("/v1/jobs", json={"dataset_id": dataset_id, "deadline": deadline})).json()
        for deadline in (soon, soon, later)
    ]
    await client.post(f"/v1/jobs/{waiting['id']}/pause")
    time.sleep(0.7)
    with database.write.begin() as session:
        assert jobs.claim(session, late["id"], "tester", 60.0) is None
        assert [call.job_id for call in jobs.reap(session, rewake_s=0.0)] == [patient["id"]]
    for job in (late, waiting):
        found = (await client.get(job["links"]["self"])).json()
        assert (found["status"], found["error"]["code"]) == ("failed", "deadline_passed")
    assert (await client.get(patient["links"]["self"])).json()["status"] == "queued"
    again = await client.patch(late["links"]["self"], json={"deadline": None})
    assert again.json()["deadline"] is None
    await client.post(f"/v1/jobs/{late['id']}/retry")
    assert take(database, late["id"]).deadline is None


async def test_a_worker_knows_the_deadline(client: httpx.AsyncClient, database: Database, project_id: str) -> None:
    moment = datetime(2099, 1, 1, tzinfo=UTC)
    body = {"dataset_id": add_dataset(database, project_id), "deadline": moment.isoformat()}
    job = (await client.post("/v1/jobs", json=body)).json()
    assert datetime.fromisoformat(job["deadline"]) == moment
    assert take(database, job["id"]).deadline == moment.timestamp()
