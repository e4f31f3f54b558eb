"""Trainings that start from a trained model or a checkpoint, over HTTP."""

from typing import Any

import httpx
import pytest
from sqlalchemy import select

from chaos_core.analysis import analyse
from chaos_core.fitted import to_safetensors
from chaos_core.series import Series
from chaos_core.systems import henon
from chaos_store import analyses, checkpoints, gc
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.tables import Blob, Job
from tests.api.conftest import Walked, add_dataset, add_job, take
from tests.api.living import Living, a_fitted, lives
from tests.conformance.test_cells import small

Json = dict[str, Any]


@pytest.fixture
def living(database: Database, project_id: str) -> Living:
    return lives(database, project_id, a_fitted())


async def post(client: httpx.AsyncClient, living: Living, **words: Any) -> Json:
    answer = await client.post("/v1/jobs", json={"dataset_id": living.ids.dataset_id, **words})
    assert answer.status_code == 202, answer.text
    found: Json = answer.json()
    return found


async def test_a_job_says_what_it_starts_from_and_its_worker_is_told(
    client: httpx.AsyncClient, living: Living, database: Database
) -> None:
    start = {"model_id": living.ids.model_id, "scaling": "data"}
    job = await post(client, living, start_from=start, spec={"cell": {"kind": "gru"}})
    model = (await client.get(living.path)).json()
    known = {"kind": "model", "job_id": living.ids.job_id, "sha256": model["sha256"], "checkpoint_id": None}
    assert job["start_from"] == known | start
    claim = take(database, job["id"])
    assert claim.start is not None and (claim.start["sha256"], claim.start["scaling"]) == (model["sha256"], "data")
    assert (await post(client, living))["start_from"] is None


async def test_a_checkpoint_is_a_start_by_the_plan_of_its_job(
    client: httpx.AsyncClient, living: Living, database: Database, project_id: str
) -> None:
    state = add_checkpoint(database, project_id, living)
    start = {"checkpoint_id": state}
    job = await post(client, living, start_from=start)
    assert (job["start_from"]["kind"], job["start_from"]["checkpoint_id"]) == ("checkpoint", state)
    with database.write.begin() as session:
        checkpoint = session.scalars(checkpoints.get(project_id, state)).one()
        checkpoint.damaged_at = 1.0
    answer = await client.post("/v1/jobs", json={"dataset_id": living.ids.dataset_id, "start_from": start})
    assert (answer.status_code, answer.json()["code"]) == (422, "inconsistent_spec")


def add_checkpoint(database: Database, project_id: str, living: Living) -> str:
    claim = take(database, add_job(database, project_id, living.ids.dataset_id))
    fitted, blobs = living.fitted, DatabaseBlobs()
    plan = {
        "cell": fitted.cell.model_dump(mode="json"),
        "observation": fitted.observation.model_dump(mode="json"),
        "embedding": {"dim": 1, "lag": 1},
        "channels": 2,
        "dt": 0.1,
    }
    with database.write.begin() as session:
        session.get_one(Job, claim.job_id).plan = plan
        checkpoints.save(session, claim, blobs.put(session, [b"a state"]), 7, best=True, keep=3)
        return session.scalars(checkpoints.of_job(project_id, claim.job_id)).one().id


REFUSED = [
    ({"cell": {"kind": "lstm"}}, "cell.kind"),
    ({"cell": {"kind": "gru", "latent": 40}}, "cell.latent"),
    ({"observation": {"kind": "linear"}}, "observation.kind"),
    ({"embedding": {"dim": 3, "lag": 2}}, "embedding.dim"),
]


@pytest.mark.parametrize(("spec", "setting"), REFUSED)
async def test_another_cell_than_the_parents_is_refused(
    client: httpx.AsyncClient, living: Living, spec: Json, setting: str
) -> None:
    body = {"dataset_id": living.ids.dataset_id, "start_from": {"model_id": living.ids.model_id}, "spec": spec}
    for path in ("/v1/jobs", f"/v1/jobs/{(await post(client, living, start_from=body['start_from']))['id']}/clone"):
        answer = await client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "inconsistent_spec"), answer.text
        assert answer.json()["setting"] == setting


async def test_a_series_that_does_not_fit_is_refused(
    client: httpx.AsyncClient, database: Database, project_id: str, living: Living
) -> None:
    driven = lives(database, project_id, a_fitted(small("plrnn").model_copy(update={"inputs": 1})))
    body = {"dataset_id": living.ids.dataset_id, "start_from": {"model_id": driven.ids.model_id}}
    answer = await client.post("/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["inputs"]) == (422, 1)


@pytest.mark.parametrize(
    "start", [{}, {"model_id": "mdl_1", "checkpoint_id": "ckpt_1"}, {"model_id": "mdl_1", "scaling": "own"}]
)
async def test_a_start_is_one_thing(client: httpx.AsyncClient, living: Living, start: Json) -> None:
    answer = await client.post("/v1/jobs", json={"dataset_id": living.ids.dataset_id, "start_from": start})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["loc"][:2] == ["body", "start_from"]


async def test_an_unusable_model_is_no_start(client: httpx.AsyncClient, walked: Walked) -> None:
    body = {"dataset_id": walked.dataset_id, "start_from": {"model_id": walked.model_id}}
    answer = await client.post("/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "inconsistent_spec")


async def test_a_clone_keeps_its_start_also_where_the_parent_is_gone(
    client: httpx.AsyncClient, living: Living, database: Database
) -> None:
    job = await post(client, living, start_from={"model_id": living.ids.model_id})
    assert (await client.delete(living.path)).status_code == 204
    with database.write.begin() as session:
        session.execute(Blob.__table__.update().values(created_at=0.0))  # type: ignore[attr-defined]
    gc.collect(database, grace_s=0.0)
    twin = (await client.post(job["links"]["clone"], json={"seed": 2})).json()
    assert twin["start_from"] == job["start_from"]
    with database.read() as session:
        stored = b"".join(DatabaseBlobs().read(session, twin["start_from"]["sha256"]))
    assert stored == to_safetensors(living.fitted)
    afresh = (await client.post(job["links"]["clone"], json={"start_from": None})).json()
    assert afresh["start_from"] is None
    gone = await client.post(job["links"]["clone"], json={"start_from": {"model_id": living.ids.model_id}})
    assert gone.status_code == 404


async def test_the_lineage_names_every_ancestor_and_who_was_deleted(
    client: httpx.AsyncClient, database: Database, project_id: str, living: Living
) -> None:
    job = await post(client, living, start_from={"model_id": living.ids.model_id})
    child = lives(database, project_id, living.fitted)
    become(database, child, job["id"])
    grandchild = lives(database, project_id, living.fitted)
    second = await post(client, living, start_from={"model_id": child.ids.model_id, "scaling": "data"})
    become(database, grandchild, second["id"])
    told = (await client.get(f"{grandchild.path}/lineage")).json()["start_from"]
    assert [(step["id"], step["scaling"], step["present"]) for step in told] == [
        (child.ids.model_id, "data", True),
        (living.ids.model_id, "parent", True),
    ]
    for path in (child.path, living.path):
        assert (await client.delete(path)).status_code == 204
    later = (await client.get(f"{grandchild.path}/lineage")).json()["start_from"]
    assert later == [step | {"present": False} for step in told]
    card = (await client.get(f"{grandchild.path}/card")).text
    assert f"| started from | model {child.ids.model_id}, sha256 `{told[0]['sha256']}`, deleted since |" in card
    assert (await client.get(f"{grandchild.path}/lineage")).json()["job"]["id"] == grandchild.ids.job_id


def become(database: Database, living: Living, job_id: str) -> None:
    """The model's job started as that one did."""
    with database.write.begin() as session:
        asked = session.scalars(select(Job).where(Job.id == job_id)).one()
        session.get_one(Job, living.ids.job_id).start = asked.start


async def test_a_dry_run_plans_with_the_parent(
    client: httpx.AsyncClient, database: Database, project_id: str, living: Living
) -> None:
    other = add_dataset(database, project_id)
    facts = analyse(Series(henon(1500).x, 0.1, names=("x", "y")))
    with database.write.begin() as session:
        row, _ = analyses.request(session, project_id=project_id, dataset_id=other, max_attempts=1)
        analyses.save_result(session, row.id, facts.model_dump(mode="json"))
    body = {"dataset_id": other, "start_from": {"model_id": living.ids.model_id}}
    told = (await client.post("/v1/jobs:validate", json=body)).json()
    assert told["plan"]["cell"] == living.fitted.cell.model_dump(mode="json"), told
    assert told["plan"]["start"]["kind"] == "model" and told["plan"]["training"]["restarts"] == 0
    assert told["notes"][0].startswith("It starts from the parameters of a model")
    answer = await client.post("/v1/jobs:validate", json=body | {"spec": {"cell": {"kind": "lem"}}})
    assert (answer.status_code, answer.json()["setting"]) == (422, "cell.kind")
