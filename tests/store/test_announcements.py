"""What happened becomes deliveries in the same transaction, for those who want them and for nobody else."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import event, select

from chaos_store import analyses, commands, datasets, jobs, keys, webhooks
from chaos_store.announcements import TEST
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.tables import Delivery, Webhook

NewJob = Callable[..., str]
URL = "https://example.com/"


@pytest.fixture
def webhook(database: Database, project_id: str) -> Webhook:
    with database.write.begin() as session:
        return webhooks.create(session, project_id=project_id, url=URL)


def _told(database: Database) -> list[dict[str, Any]]:
    with database.read() as session:
        return [json.loads(row.payload) for row in session.scalars(select(Delivery).order_by(Delivery.id))]


def _types(database: Database) -> list[str]:
    return [found["type"] for found in _told(database)]


def _claim(database: Database, job_id: str) -> jobs.Claim:
    with database.write.begin() as session:
        claim = jobs.claim(session, job_id, "tester", 60.0)
    assert claim is not None
    return claim


def _unread(database: Database, project_id: str) -> tuple[str, str]:
    """A dataset whose file is still to be read, and the job that will."""
    with database.write.begin() as session:
        content = DatabaseBlobs().put(session, [b"raw"])
        made = datasets.create(session, project_id=project_id, name="raw", content=content)
        job = jobs.create(session, project_id=project_id, kind="ingest", dataset_id=made.id, max_attempts=3)
    return made.id, job.id


def test_a_training_tells_its_beginning_and_its_end(
    database: Database, project_id: str, webhook: Webhook, dataset_id: str, new_job: NewJob
) -> None:
    claim = _claim(database, new_job())
    with database.write.begin() as session:
        jobs.fail(session, claim, {"code": "diverged", "detail": "at update 7"})
    ready, running, failed = _told(database)
    assert [found["type"] for found in (ready, running, failed)] == ["dataset.ready", "job.running", "job.failed"]
    assert set(failed) == {"type", "timestamp", "data"}
    assert ready["data"] == {
        "id": dataset_id,
        "object": "dataset",
        "status": "ready",
        "error_code": None,
        "links": {"self": f"/v1/datasets/{dataset_id}"},
    }
    assert failed["data"] == {
        "id": claim.job_id,
        "object": "job",
        "kind": "train",
        "status": "failed",
        "attempt": 1,
        "dataset_id": dataset_id,
        "analysis_id": None,
        "model_id": None,
        "error_code": "diverged",
        "links": {"self": f"/v1/jobs/{claim.job_id}", "model": None},
    }
    assert failed["timestamp"].endswith("Z") and datetime.fromisoformat(failed["timestamp"]).tzinfo is not None


def test_each_way_of_a_job_is_told(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob, webhook: Webhook
) -> None:
    job_id = new_job()
    with database.write.begin() as session:
        commands.request_pause(session, project_id, job_id)
        commands.request_resume(session, project_id, job_id)
        commands.request_cancel(session, project_id, job_id)
    done = _claim(database, new_job())
    with database.write.begin() as session:
        jobs.succeed(session, done)
    assert _types(database) == ["job.paused", "job.cancelled", "job.running", "job.succeeded"]


def test_an_analysis_is_told_beside_its_job(
    database: Database, project_id: str, dataset_id: str, webhook: Webhook
) -> None:
    for end in (jobs.succeed, lambda session, claim: jobs.fail(session, claim, {"code": "too_short"})):
        with database.write.begin() as session:
            _, job = analyses.request(session, project_id=project_id, dataset_id=dataset_id, max_attempts=3)
        claim = _claim(database, job.id)
        with database.write.begin() as session:
            end(session, claim)
    told = {found["type"]: found["data"] for found in _told(database)}
    assert told["analysis.succeeded"]["links"]["self"].startswith("/v1/analyses/an_")
    assert (told["analysis.failed"]["error_code"], told["analysis.failed"]["job_id"]) == ("too_short", claim.job_id)


def test_a_dataset_is_told_whichever_way_its_reading_ends(
    database: Database, project_id: str, webhook: Webhook
) -> None:
    refused, _ = _unread(database, project_id)
    left, ingest = _unread(database, project_id)
    assert _types(database) == []
    with database.write.begin() as session:
        datasets.reject(session, refused, {"code": "ragged_row", "detail": "row 7"})
    with database.write.begin() as session:
        commands.request_cancel(session, project_id, ingest)
    told = [(found["type"], found["data"].get("error_code"), found["data"]["id"]) for found in _told(database)]
    assert told == [
        ("dataset.failed", "ragged_row", refused),
        ("dataset.failed", "upload_cancelled", left),
        ("job.cancelled", None, ingest),
    ]


def test_what_is_rolled_back_is_not_told(database: Database, new_job: NewJob, webhook: Webhook) -> None:
    job_id = new_job()
    before = len(_types(database))
    with pytest.raises(ZeroDivisionError), database.write.begin() as session:
        assert jobs.claim(session, job_id, "tester", 60.0) is not None
        assert session.scalar(select(Delivery.type).where(Delivery.type == "job.running")) is not None
        raise ZeroDivisionError
    assert len(_types(database)) == before


def test_only_those_who_want_it_are_told_and_all_of_them_the_same(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    with database.write.begin() as session:
        stranger = keys.create_project(session, "other").id
        wanted = [
            webhooks.create(session, project_id=project_id, url=URL, event_types=types).id
            for types in (None, ["job.running"])
        ]
        webhooks.create(session, project_id=project_id, url=URL, event_types=["job.failed"])
        webhooks.create(session, project_id=project_id, url=URL, enabled=False)
        webhooks.create(session, project_id=stranger, url=URL)
    _claim(database, new_job())
    with database.read() as session:
        rows = session.scalars(select(Delivery).where(Delivery.type == "job.running")).all()
    assert sorted(row.webhook_id for row in rows) == sorted(wanted)
    assert len({row.event_id for row in rows}) == len({row.payload for row in rows}) == 1


def test_without_a_webhook_a_transition_costs_one_statement(database: Database, new_job: NewJob) -> None:
    seen: list[str] = []
    job_id = new_job()
    event.listen(database.engine, "before_cursor_execute", lambda *words: seen.append(words[2]))
    _claim(database, job_id)
    assert len([statement for statement in seen if "webhook" in statement]) == 1
    assert len(seen) <= 5


def test_a_test_event_is_no_other_event(database: Database, webhook: Webhook) -> None:
    assert TEST == "webhook.test"
    assert _types(database) == []
