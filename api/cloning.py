"""A job like another one: its spec with a merge patch, its start, seed, labels and limits unless others are given."""

from collections.abc import Mapping
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from chaos_core.spec import Spec
from chaos_store.commands import relabelled
from chaos_store.errors import NotClonable
from chaos_store.states import Kind
from chaos_store.tables import Job

from .schemas.jobs import JobClone


def merged(stored: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396, but that a part which becomes one of another kind keeps no setting of the former."""
    another = "kind" in patch and patch["kind"] != stored.get("kind")
    found: dict[str, Any] = {} if another else dict(stored)
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, Mapping):
            before = found.get(name)
            found[name] = merged(before if isinstance(before, Mapping) else {}, value)
        else:
            found[name] = value
    return found


def words_of(job: Job, body: JobClone, split: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the new job is created with; `split` is the one stored with the dataset of the former job."""
    if job.kind != Kind.train:
        raise NotClonable(f"{job.id} is a job of kind {job.kind}.", job_kind=job.kind)
    same = body.dataset_id in (None, job.dataset_id)
    return {
        "kind": Kind.train,
        "dataset_id": body.dataset_id or job.dataset_id,
        "analysis_id": job.analysis_id if same else None,
        "spec": _checked(merged(_order(job, same, split), body.spec)),
        "seed": job.seed if body.seed is None else body.seed,
        "labels": relabelled(job.labels, body.labels),
        "limits": job.limits if body.limits is None else body.limits.model_dump(exclude_none=True),
        "priority": job.priority if body.priority is None else body.priority,
        "deadline": None if body.deadline is None else body.deadline.timestamp(),
        "start": job.start,
        "cloned_from": job.id,
    }


def _order(job: Job, same: bool, split: Mapping[str, Any] | None) -> dict[str, Any]:
    """Another dataset comes with a split of its own."""
    theirs = not same and split is not None and job.spec.get("split") == split
    return {name: value for name, value in job.spec.items() if not (theirs and name == "split")}


def _checked(spec: dict[str, Any]) -> dict[str, Any]:
    try:
        return Spec.model_validate(spec).model_dump(mode="json", exclude_unset=True)
    except ValidationError as refusal:
        errors = [{**item, "loc": ("body", "spec", *item["loc"])} for item in refusal.errors(include_url=False)]
        raise RequestValidationError(errors, body={"spec": spec}) from refusal
