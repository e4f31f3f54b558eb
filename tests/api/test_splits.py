"""Shares stored with a dataset are those of the jobs that leave theirs out."""

import httpx
import pytest
from sqlalchemy import select

from chaos_store.engine import Database
from chaos_store.tables import Job
from tests.api.test_raw import ONE_DATABASE
from tests.api.test_uploads import csv, send

MINE = {"train": 0.5, "validation": 0.2, "test": 0.3}
OTHER = {"train": 0.6, "validation": 0.2, "test": 0.2}


def spec_of(database: Database, job_id: str) -> object:
    with database.read() as session:
        return session.scalars(select(Job.spec).where(Job.id == job_id)).one().get("split")


async def test_a_job_takes_the_split_of_its_dataset_unless_it_names_one(
    client: httpx.AsyncClient, database: Database
) -> None:
    made = (await send(client, csv(), split="0.5, 0.2, 0.3")).json()
    assert made["split"] == MINE
    for spec, expected in (({}, MINE), ({"split": "auto"}, MINE), ({"split": OTHER}, OTHER)):
        job = (await client.post("/v1/jobs", json={"dataset_id": made["id"], "spec": spec})).json()
        assert spec_of(database, job["id"]) == expected
    baseline = {"dataset_id": made["id"], "spec": {"baseline": {"kind": "mean"}}}
    job = (await client.post("/v1/baselines", json=baseline)).json()
    assert spec_of(database, job["id"]) == MINE
    analysis = (await client.post("/v1/analyses", json={"dataset_id": made["id"]})).json()
    assert spec_of(database, analysis["job_id"]) is None
    plain = (await send(client, csv())).json()
    job = (await client.post("/v1/jobs", json={"dataset_id": plain["id"]})).json()
    assert (plain["split"], spec_of(database, job["id"])) == (None, None)


async def test_a_clone_on_another_dataset_takes_the_split_of_that_one(
    client: httpx.AsyncClient, database: Database
) -> None:
    first, second = [(await send(client, csv(), split=split)).json() for split in ("0.5,0.2,0.3", "0.6,0.2,0.2")]
    third = (await send(client, csv())).json()
    job = (await client.post("/v1/jobs", json={"dataset_id": first["id"]})).json()
    for dataset, expected in ((first, MINE), (second, OTHER), (third, None)):
        copy = (await client.post(f"/v1/jobs/{job['id']}/clone", json={"dataset_id": dataset["id"]})).json()
        assert spec_of(database, copy["id"]) == expected
    named = {"dataset_id": second["id"], "spec": {"split": MINE}}
    copy = (await client.post(f"/v1/jobs/{job['id']}/clone", json=named)).json()
    assert spec_of(database, copy["id"]) == MINE


@ONE_DATABASE
@pytest.mark.parametrize("split", ["0.5,0.5", "a,b,c", "0.9,0.9,0.9", "0,0.5,0.5"])
async def test_shares_that_are_none_are_refused(client: httpx.AsyncClient, split: str) -> None:
    answer = await send(client, csv(), split=split)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["loc"][:2] == ["body", "split"]
