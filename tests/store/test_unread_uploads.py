"""An upload that no job will read any more does not stay `processing`."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from chaos_core.errors import NotFinite
from chaos_store import commands, datasets, jobs
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.jobs import Claim
from chaos_store.tables import Dataset

PROBLEM = NotFinite("column 'x', row 3: nan", row=3, column="x").problem()

ENDINGS: dict[str, tuple[Callable[[Session, Claim], object], str]] = {
    "failed": (lambda session, claim: jobs.fail(session, claim, PROBLEM), "not_finite"),
    "lost for the last time": (lambda session, claim: jobs.lose(session, claim, PROBLEM), "not_finite"),
}


@pytest.fixture
def upload(database: Database, project_id: str) -> tuple[str, str]:
    with database.write.begin() as session:
        content = DatabaseBlobs().put(session, [b"x\n1\n"])
        dataset = datasets.create(session, project_id=project_id, name="large", content=content)
        job = jobs.create(session, project_id=project_id, kind="ingest", dataset_id=dataset.id, max_attempts=1)
        return dataset.id, job.id


def seen(database: Database, dataset_id: str) -> tuple[str, str | None]:
    with database.read() as session:
        dataset = session.get_one(Dataset, dataset_id)
        return dataset.status, (dataset.error or {}).get("code")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_reading_job_that_fails_leaves_its_reason_on_the_dataset(
    database: Database, upload: tuple[str, str], ending: str
) -> None:
    dataset_id, job_id = upload
    act, code = ENDINGS[ending]
    with database.write.begin() as session:
        claim = jobs.claim(session, job_id, "worker", 60)
        assert claim is not None
        assert seen(database, dataset_id) == ("processing", None)
        act(session, claim)
    assert seen(database, dataset_id) == ("failed", code)


def test_a_reading_job_that_is_cancelled_while_queued_says_so_on_the_dataset(
    database: Database, project_id: str, upload: tuple[str, str]
) -> None:
    dataset_id, job_id = upload
    with database.write.begin() as session:
        commands.request_cancel(session, project_id, job_id)
    assert seen(database, dataset_id) == ("failed", "upload_cancelled")


def test_a_reading_job_that_is_cancelled_while_it_runs_says_so_on_the_dataset(
    database: Database, project_id: str, upload: tuple[str, str]
) -> None:
    dataset_id, job_id = upload
    with database.write.begin() as session:
        claim = jobs.claim(session, job_id, "worker", 60)
        assert claim is not None
        commands.request_cancel(session, project_id, job_id)
        jobs.confirm_cancel(session, claim)
    assert seen(database, dataset_id) == ("failed", "upload_cancelled")
