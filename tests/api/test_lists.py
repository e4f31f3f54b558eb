"""Labels and the filters and orders of lists."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from chaos_store.engine import Database
from tests.api.conftest import Walked, add_dataset, add_job


@pytest.fixture
def job_ids(database: Database, project_id: str) -> list[str]:
    dataset_id = add_dataset(database, project_id)
    return [add_job(database, project_id, dataset_id) for _ in range(4)]


async def labelled(client: httpx.AsyncClient, job_id: str, **labels: str | None) -> dict[str, Any]:
    answer = await client.patch(f"/v1/jobs/{job_id}", json={"labels": labels})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def listed(client: httpx.AsyncClient, **params: Any) -> list[str]:
    answer = await client.get("/v1/jobs", params=params)
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["data"]]


async def test_labels_are_set_kept_and_taken_away(client: httpx.AsyncClient, walked: Walked) -> None:
    assert (await labelled(client, walked.job_id, a="1", b="2"))["labels"] == {"a": "1", "b": "2"}
    job = await labelled(client, walked.job_id, a=None, c="ü")
    assert job["labels"] == {"b": "2", "c": "ü"}
    assert (await client.get(f"/v1/jobs/{walked.job_id}")).json() == job


async def test_a_job_carries_no_more_than_32_labels(client: httpx.AsyncClient, walked: Walked) -> None:
    await labelled(client, walked.job_id, **{f"k{number}": "x" for number in range(32)})
    answer = await client.patch(f"/v1/jobs/{walked.job_id}", json={"labels": {"more": "x"}})
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_labels")
    assert len((await labelled(client, walked.job_id, k0=None, more="x"))["labels"]) == 32


@pytest.mark.parametrize("body", [{}, {"labels": {"a b": "c"}}, {"labels": {"a": ""}}, {"seed": 3}])
async def test_other_changes_are_refused(client: httpx.AsyncClient, walked: Walked, body: dict[str, Any]) -> None:
    answer = await client.patch(f"/v1/jobs/{walked.job_id}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_jobs_are_found_by_all_the_labels_asked_for(client: httpx.AsyncClient, job_ids: list[str]) -> None:
    first, second, third, _ = job_ids
    await labelled(client, first, **{"run.no": "1", "kind": "x"})
    await labelled(client, second, **{"run.no": "1", "kind": "y"})
    await labelled(client, third, kind="x")
    assert await listed(client, **{"label.run.no": "1"}) == [second, first]
    assert await listed(client, **{"label.run.no": "1", "label.kind": "x"}) == [first]
    assert await listed(client, **{"label.kind": "x", "status": "running"}) == []
    assert await listed(client, **{"label.no": "1"}) == []


@pytest.mark.parametrize("name", ["label.a b", "label.", "label.a'b", "labels"])
async def test_a_label_that_cannot_be_is_refused_by_name(client: httpx.AsyncClient, name: str) -> None:
    problem = (await client.get("/v1/jobs", params={name: "x"})).json()
    assert (problem["code"], problem["errors"][0]["loc"]) == ("invalid_request", ["query", name])


async def test_lists_go_in_both_orders_page_by_page(client: httpx.AsyncClient, job_ids: list[str]) -> None:
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await client.get("/v1/jobs", params={"order": "asc", "limit": 3} | cursor)).json()
        seen += [job["id"] for job in page["data"]]
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == job_ids == (await listed(client))[::-1]


@pytest.mark.parametrize("noun", ["datasets", "analyses", "jobs", "models", "trajectories"])
async def test_each_list_is_cut_by_time(client: httpx.AsyncClient, walked: Walked, noun: str) -> None:
    [row] = (await client.get(f"/v1/{noun}")).json()["data"]
    made_at = datetime.fromisoformat(row["created_at"])
    for shift, name, count in ((-1, "after", 1), (1, "after", 0), (-1, "before", 0), (1, "before", 1)):
        moment = (made_at + timedelta(seconds=shift)).isoformat()
        found = (await client.get(f"/v1/{noun}", params={f"created_{name}": moment})).json()["data"]
        assert len(found) == count


@pytest.mark.parametrize("params", [{"created_after": "yesterday"}, {"created_after": "2026-11-22"}, {"order": "up"}])
async def test_what_is_no_time_or_order_is_refused(client: httpx.AsyncClient, params: dict[str, str]) -> None:
    answer = await client.get("/v1/jobs", params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
