"""The outbox: what happened becomes one delivery for each webhook that wants it, in the transaction of the change."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from . import webhooks
from .engine import now
from .states import FINISHED, Kind, State
from .tables import Dataset, Delivery, Job, Webhook, new_id

__all__ = ["TEST", "EventType", "announce_dataset", "announce_job", "send_test"]

EventType = Literal[
    "job.running",
    "job.paused",
    "job.succeeded",
    "job.failed",
    "job.cancelled",
    "analysis.succeeded",
    "analysis.failed",
    "analysis.cancelled",
    "dataset.ready",
    "dataset.failed",
    "webhook.test",
]
TEST: EventType = "webhook.test"
TOLD = frozenset({State.running, State.paused, *FINISHED})

Data = dict[str, Any]


def announce_job(session: Session, job: Job) -> None:
    if job.status not in TOLD:
        return
    told: dict[str, Data] = {f"job.{job.status}": _of_job(job)}
    if job.kind == Kind.analyse and job.status in FINISHED and job.analysis_id is not None:
        told[f"analysis.{job.status}"] = _of_analysis(job)
    _announce(session, job.project_id, told)


def announce_dataset(session: Session, dataset: Dataset) -> None:
    if dataset.status != "processing":
        _announce(session, dataset.project_id, {f"dataset.{dataset.status}": _of_dataset(dataset)})


def send_test(session: Session, project_id: str, webhook_id: str) -> Delivery:
    """For this webhook only, whichever types it wants."""
    webhook = webhooks.lock(session, project_id, webhook_id)
    webhooks.require_enabled(webhook)
    data = {"id": webhook.id, "object": "webhook", "links": {"self": f"/v1/webhooks/{webhook.id}"}}
    moment = session.scalar(select(now()))
    assert moment is not None
    delivery = Delivery(**_delivery(project_id, webhook.id, new_id("evt"), TEST, _body(TEST, moment, data)))
    session.add(delivery)
    session.flush()
    return delivery


def _announce(session: Session, project_id: str, told: Mapping[str, Data]) -> None:
    """The webhooks are locked so that none is deleted before its delivery stands."""
    listening = select(Webhook.id, Webhook.event_types, now()).where(Webhook.project_id == project_id, Webhook.enabled)
    found = session.execute(listening.with_for_update(read=True, key_share=True)).all()
    rows = []
    for event_type, data in told.items() if found else ():
        event_id, body = new_id("evt"), _body(event_type, found[0][2], data)
        rows += [
            _delivery(project_id, webhook_id, event_id, event_type, body)
            for webhook_id, wanted, _ in found
            if wanted is None or event_type in wanted
        ]
    if rows:
        session.execute(insert(Delivery), rows)


def _delivery(project_id: str, webhook_id: str, event_id: str, event_type: str, body: str) -> Data:
    own = {"project_id": project_id, "webhook_id": webhook_id, "event_id": event_id}
    return own | {"type": event_type, "payload": body}


def _body(event_type: str, moment: float, data: Data) -> str:
    timestamp = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": event_type, "timestamp": timestamp, "data": data}, separators=(",", ":"))


def _of_job(job: Job) -> Data:
    names = ("id", "kind", "status", "attempt", "dataset_id", "analysis_id", "model_id")
    links = {"self": f"/v1/jobs/{job.id}", "model": f"/v1/models/{job.model_id}" if job.model_id else None}
    return {"object": "job"} | {name: getattr(job, name) for name in names} | _code(job.error) | {"links": links}


def _of_analysis(job: Job) -> Data:
    own = {"id": job.analysis_id, "object": "analysis", "status": job.status, "dataset_id": job.dataset_id}
    links = {"self": f"/v1/analyses/{job.analysis_id}", "job": f"/v1/jobs/{job.id}"}
    return own | {"job_id": job.id} | _code(job.error) | {"links": links}


def _of_dataset(dataset: Dataset) -> Data:
    own = {"id": dataset.id, "object": "dataset", "status": dataset.status}
    return own | _code(dataset.error) | {"links": {"self": f"/v1/datasets/{dataset.id}"}}


def _code(problem: Data | None) -> Data:
    return {"error_code": problem.get("code") if problem else None}
