"""What a job leaves to be used that did not succeed: its best state so far, as a trained model."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from . import artifacts, trained
from .blobs import BlobRef
from .tables import Blob, Checkpoint, Job

__all__ = ["keep"]


def keep(session: Session, job: Job) -> None:
    """Names the model of the best checkpoint as the job's, where there is one."""
    mine = select(Checkpoint.model, Blob.sha256, Blob.size).join(Blob, Blob.sha256 == Checkpoint.model_sha256)
    row = session.execute(mine.where(Checkpoint.job_id == job.id, Checkpoint.best)).one_or_none()
    if row is None:
        return
    model, sha256, size = row
    assert model is not None, "a model's bytes and its facts are written together"
    common = {"project_id": job.project_id, "job_id": job.id}
    file = artifacts.create(session, kind="model", blob=BlobRef(sha256, size), **common, **model["artifact"])
    facts = {"dataset_id": job.dataset_id, "plan_hash": job.plan_hash, **model["trained"]}
    job.model_id = trained.create(session, artifact=file, **facts).id
    session.flush()
