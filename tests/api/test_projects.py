import httpx
import pytest

from chaos_store import keys
from chaos_store.engine import Database
from chaos_store.scopes import ALL
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
