"""Who works, with what, and on which jobs of mine."""

from typing import Any

import httpx
from sqlalchemy import update

from chaos_store import keys, workers
from chaos_store.engine import Database, now
from chaos_store.states import Kind
from chaos_store.tables import Job, Worker
from tests.api.conftest import add_dataset, add_job, take

MACHINE = {
    "cpu": "a processor",
    "cores": 2,
    "memory_bytes": 2**30,
    "kernels": "v3",
    "gpus": [{"name": None, "memory_bytes": None}],
}
FACTS: dict[str, Any] = {
    "host": "host",
    "pid": 7,
    "kinds": "all",
    "training_slots": 2,
    "light_slots": 1,
    "machine": MACHINE,
    "versions": {"release": "0.3.0", "python": "3.11"},
}


async def test_workers_show_what_they_have_and_only_my_jobs(
    client: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    assert (await client.get("/v1/workers")).json()["data"] == []
    mine = add_job(database, project_id, add_dataset(database, project_id))
    with database.write.begin() as session:
        stranger = keys.create_project(session, "other").id
    theirs = add_job(database, stranger, add_dataset(database, stranger), Kind.analyse)
    for job_id in (mine, theirs):
        take(database, job_id)
    with database.write.begin() as session:
        session.execute(update(Job).values(lease_owner="host-7-a"))
        for name in ("host-7-a", "host-8-b"):
            workers.renew(session, name, **FACTS)
        session.execute(update(Worker).where(Worker.name == "host-8-b").values(seen_at=now() - 60))
    page = (await client.get("/v1/workers")).raise_for_status().json()
    at_work, silent = page["data"]
    assert (at_work["name"], at_work["status"], at_work["jobs"]) == ("host-7-a", "alive", [mine])
    assert at_work["busy"] == {"training": 1, "light": 1} and at_work["slots"] == {"training": 2, "light": 1}
    assert at_work["machine"] == MACHINE and at_work["versions"] == FACTS["versions"]
    assert (silent["name"], silent["status"], silent["busy"]) == ("host-8-b", "silent", {"training": 0, "light": 0})
    assert theirs not in str(page)
    assert (await client.get("/readyz")).json()["workers"] == 1


async def test_workers_are_for_those_with_a_key(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    assert (await client.get("/v1/workers")).status_code == 401
