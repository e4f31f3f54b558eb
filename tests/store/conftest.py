"""A dataset and jobs to work on, and a clock that can be moved."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from chaos_store import datasets, jobs
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.tables import Job, Lease

FACTS: datasets.Facts = {
    "format": "csv",
    "series_sha256": "",
    "rows": 3,
    "channels": 1,
    "names": ["x"],
    "dt": None,
    "missing_count": 0,
    "stretches": 1,
}


@pytest.fixture
def dataset_id(database: Database, project_id: str) -> str:
    with database.write.begin() as session:
        content = DatabaseBlobs().put(session, [b"x\n1\n2\n3\n"])
        facts = FACTS | {"series_sha256": content.sha256}
        return datasets.create(session, project_id=project_id, name="three", content=content, facts=facts).id


@pytest.fixture
def new_job(database: Database, project_id: str, dataset_id: str) -> Callable[..., str]:
    def create(kind: str = "train", max_attempts: int = 3) -> str:
        with database.write.begin() as session:
            job = jobs.create(
                session, project_id=project_id, kind=kind, dataset_id=dataset_id, max_attempts=max_attempts
            )
            return job.id

    return create


@pytest.fixture
def pass_time(database: Database) -> Callable[[float], None]:
    """Lets seconds pass for the database by moving all that it compares with its clock into the past."""

    def move(seconds: float) -> None:
        with database.write.begin() as session:
            for table, names in ((Job, ("lease_until", "not_before", "woken_at")), (Lease, ("until",))):
                moved = {name: getattr(table, name) - seconds for name in names}
                session.execute(update(table).values(moved), execution_options={"synchronize_session": False})

    return move
