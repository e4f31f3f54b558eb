import asyncio

import httpx
import pytest
from sqlalchemy import func, select

from chaos_store import gc, keys, usage
from chaos_store.engine import Database
from chaos_store.scopes import ALL
from chaos_store.tables import Base, Project
from tests.api.conftest import Walked
from tests.api.inhabitants import ids_of
from tests.api.test_scopes import bearer


@pytest.fixture
def operator(database: Database) -> dict[str, str]:
    """A key of another project than the client's."""
    with database.write.begin() as session:
        own = keys.create_project(session, "those who run it")
        return bearer(keys.issue(session, own.id, "operator", scopes=ALL)[1])


async def test_a_project_is_made_with_its_first_key_by_an_operator_alone(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    body = {"name": "ocean", "retention_s": 60.0, "quotas": {"jobs": 3}}
    assert (await client.post("/v1/projects", json=body)).json()["scope"] == "operator"
    answer = await client.post("/v1/projects", json=body, headers=operator)
    made = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert made["quotas"] == {"bytes": None, "jobs": 3, "core_hours": None}
    header = bearer(made["key"]["secret"])
    assert made["key"]["scopes"] == ["read", "write", "admin"]
    own = (await client.get("/v1/projects", headers=header)).json()["data"]
    assert [project["id"] for project in own] == [made["id"]]
    assert (await client.get(answer.headers["location"], headers=header)).json() == own[0]
    assert own[0]["retention_s"] == 60.0


async def test_an_operator_sees_all_projects_and_others_their_own(
    client: httpx.AsyncClient, operator: dict[str, str], project_id: str
) -> None:
    assert [project["id"] for project in (await client.get("/v1/projects")).json()["data"]] == [project_id]
    everything = (await client.get("/v1/projects", headers=operator)).json()["data"]
    assert {project["name"] for project in everything} == {"test", "those who run it"}
    foreign = next(project["id"] for project in everything if project["id"] != project_id)
    assert (await client.get(f"/v1/projects/{foreign}")).status_code == 404
    assert (await client.patch(f"/v1/projects/{foreign}", json={"name": "x"})).status_code == 404
    assert (await client.get(f"/v1/projects/{project_id}", headers=operator)).status_code == 200


async def test_the_project_s_admin_names_it_and_only_an_operator_sets_quotas(
    client: httpx.AsyncClient, operator: dict[str, str], project_id: str
) -> None:
    path = f"/v1/projects/{project_id}"
    named = (await client.patch(path, json={"name": "sea", "retention_s": 3600})).json()
    assert (named["name"], named["retention_s"]) == ("sea", 3600.0)
    refused = await client.patch(path, json={"name": "more", "quotas": {"bytes": None}})
    assert (refused.status_code, refused.json()["scope"]) == (403, "operator")
    assert (await client.get(path)).json()["name"] == "sea"
    quotas = {"bytes": 10**12, "core_hours": 1.5}
    assert (await client.patch(path, json={"quotas": quotas}, headers=operator)).status_code == 200
    more = (await client.patch(path, json={"quotas": {"bytes": None}}, headers=operator)).json()
    assert (more["quotas"], more["name"]) == ({"bytes": None, "jobs": None, "core_hours": 1.5}, "sea")
    for wrong in ({}, {"quotas": {"bytes": -1}}, {"quotas": {"gold": 1}}, {"retention_s": "x"}, {"id": "y"}):
        assert (await client.patch(path, json=wrong, headers=operator)).status_code == 422


async def test_a_project_is_removed_with_all_that_it_holds_and_nothing_else(
    client: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    operator: dict[str, str],
    database: Database,
    project_id: str,
    walked: Walked,
) -> None:
    path = f"/v1/projects/{project_id}"
    waiting = ids_of(database, project_id, walked)["evaluation_id"]
    assert (await stranger.get("/v1/datasets")).status_code == 200
    assert (await client.delete(path)).json()["scope"] == "operator"
    refused = (await client.delete(f"{path}?cascade=true", headers=operator)).json()
    assert (refused["code"], refused["datasets"], refused["jobs"], refused["unfinished"]) == ("project_in_use", 1, 2, 1)
    evaluation = (await client.get(f"/v1/evaluations/{waiting}")).json()
    await client.post(f"/v1/jobs/{evaluation['job_id']}/cancel")
    assert (await client.delete(path, headers=operator)).json()["unfinished"] == 0
    before = rows(database)
    assert sum(count > 0 for count in before.values()) > 15
    assert (await client.delete(f"{path}?cascade=true", headers=operator)).status_code == 204
    assert (await client.get("/v1/jobs")).status_code == 401
    assert (await client.delete(f"{path}?cascade=true", headers=operator)).status_code == 404
    assert (await stranger.get("/v1/datasets")).status_code == 200
    gc.collect(database, grace_s=0.0)
    left = {table: count for table, count in rows(database).items() if count}
    assert set(left) <= {"project", "api_key", "project_use", "audit_event"} and left["project"] == 2


def rows(database: Database) -> dict[str, int]:
    with database.read() as session:
        tables = Base.metadata.sorted_tables
        return {table.name: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


async def test_nobody_removes_the_project_of_the_key_at_hand(
    client: httpx.AsyncClient, operator: dict[str, str]
) -> None:
    found = (await client.get("/v1/projects", headers=operator)).json()["data"]
    own = next(project["id"] for project in found if project["name"] == "those who run it")
    refused = await client.delete(f"/v1/projects/{own}?cascade=true", headers=operator)
    assert (refused.status_code, refused.json()["code"]) == (409, "project_in_use")
    assert (await client.get(f"/v1/projects/{own}", headers=operator)).status_code == 200


def test_what_a_removed_project_used_is_charged_to_nobody(database: Database, project_id: str) -> None:
    with database.write.begin() as session:
        usage.charge(session, "prj_gone", requests=3)
        for _ in range(2):
            usage.charge(session, project_id, requests=2, core_seconds=1.5)
    with database.read() as session:
        assert (session.scalar(usage.requests(project_id)), session.scalar(usage.requests("prj_gone"))) == (4, 0)


async def test_what_comes_beside_a_removal_is_refused_and_leaves_nothing(
    client: httpx.AsyncClient, operator: dict[str, str], database: Database, project_id: str, walked: Walked
) -> None:
    path = f"/v1/projects/{project_id}?cascade=true"
    posts = [client.post("/v1/jobs", json={"dataset_id": walked.dataset_id}) for _ in range(8)]
    uploads = [
        client.post("/v1/datasets", files={"file": ("x.csv", b"x\n" + b"1\n2\n" * 40)}, data={"name": str(number)})
        for number in range(4)
    ]
    removal, *others = await asyncio.gather(client.delete(path, headers=operator), *posts, *uploads)
    assert removal.status_code in {204, 409}
    refused = {401, 404, 409}
    assert {answer.status_code for answer in others} <= {201, 202} | refused, [answer.text for answer in others]
    if removal.status_code == 409:
        assert removal.json()["code"] == "project_in_use"
        return
    assert {answer.status_code for answer in others} <= refused
    with database.read() as session:
        assert session.get(Project, project_id) is None
