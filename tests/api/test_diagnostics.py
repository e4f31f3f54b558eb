"""Diagnoses over HTTP, against the core's own."""

import httpx
import pytest

from api.diagnosing import MAX_WORK
from chaos_core.diagnostics import diagnose
from chaos_store.engine import Database
from chaos_store.tables import Job
from tests.api.living import Living, a_fitted, lives
from tests.conformance.test_cells import small


@pytest.fixture
def living(database: Database, project_id: str) -> Living:
    return lives(database, project_id, a_fitted(small("clipped_shplrnn")))


async def test_the_diagnosis_is_the_cores(client: httpx.AsyncClient, living: Living) -> None:
    asked = {"steps": 500, "runs": 4, "growth_steps": 8}
    answer = await client.post(f"{living.path}/diagnostics", json=asked)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    own = diagnose(living.fitted, steps=500, runs=4, growth_steps=8).model_dump(mode="json")
    assert {name: told[name] for name in own} == own
    assert (told["object"], told["model_id"], told["dt"]) == ("diagnosis", living.ids.model_id, 0.1)
    assert (await client.get(living.path)).json()["links"]["diagnostics"] == f"{living.path}/diagnostics"


async def test_gradients_are_followed_over_the_forcing_interval(
    client: httpx.AsyncClient, living: Living, database: Database
) -> None:
    path, body = f"{living.path}/diagnostics", {"steps": 100}
    assert (await client.post(path, json=body)).json()["gradient_growth"]["steps"] == 100, "the plan has no interval"
    with database.write.begin() as session:
        session.get_one(Job, living.ids.job_id).plan = {"forcing": {"kind": "sparse", "tau": 17}}
    assert (await client.post(path, json=body)).json()["gradient_growth"]["steps"] == 17


async def test_a_driven_model_has_reasons(client: httpx.AsyncClient, database: Database, project_id: str) -> None:
    driven = lives(database, project_id, a_fitted(small("plrnn").model_copy(update={"inputs": 1})))
    told = (await client.post(f"{driven.path}/diagnostics", json={})).json()
    assert told["exponents"]["per_step"] is None and "driven" in told["exponents"]["reason"]


async def test_what_would_take_too_long_is_refused(
    client: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    large = lives(database, project_id, a_fitted(small("plrnn").model_copy(update={"latent": 120})))
    answer = await client.post(f"{large.path}/diagnostics", json={"steps": 100_000})
    assert (answer.status_code, answer.json()["code"]) == (422, "data_too_large")
    assert answer.json()["value"] > answer.json()["limit"] == MAX_WORK
    assert (await client.get("/v1/limits")).json()["max_diagnosis_work"] == MAX_WORK
    for body in ({"steps": 1}, {"runs": 1}, {"growth_steps": 0}, {"step": 100}):
        refused = await client.post(f"{large.path}/diagnostics", json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
