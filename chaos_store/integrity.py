"""Reads every stored byte again and names what uses those that are not what was stored."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from .blobs import DatabaseBlobs
from .engine import Database
from .errors import BlobCorrupt, NotFound
from .tables import Artifact, Blob, Checkpoint, Dataset, Evaluation, Job, TrainedModel

__all__ = ["Checked", "Damaged", "check_blobs"]

BLOBS_AT_A_TIME = 500


class Damaged(NamedTuple):
    sha256: str
    what: str
    users: list[str]


class Checked(NamedTuple):
    blobs: int
    bytes: int


def check_blobs(database: Database) -> tuple[Checked, list[Damaged]]:
    """Each blob in a look of its own, so that a running service is not held up."""
    blobs = size = 0
    damaged = []
    for sha256 in _all(database):
        with database.read() as session:
            try:
                size += sum(map(len, DatabaseBlobs().read(session, sha256)))
            except NotFound:
                continue
            except BlobCorrupt as error:
                if _is_still_there(session, sha256):
                    damaged.append(Damaged(sha256, error.detail, _users(session, sha256)))
        blobs += 1
    return Checked(blobs, size), damaged


def _all(database: Database) -> Iterator[str]:
    seen = ""
    while True:
        page = select(Blob.sha256).where(Blob.sha256 > seen).order_by(Blob.sha256).limit(BLOBS_AT_A_TIME)
        with database.read() as session:
            found = session.scalars(page).all()
        if not found:
            return
        yield from found
        seen = found[-1]


def _is_still_there(session: Session, sha256: str) -> bool:
    """One collected, or healed, while it was being read is not damaged."""
    session.expire_all()
    try:
        DatabaseBlobs().verify(session, sha256)
    except NotFound:
        return False
    except BlobCorrupt:
        return session.scalar(select(Blob.sha256).where(Blob.sha256 == sha256)) is not None
    return False


def _users(session: Session, sha256: str) -> list[str]:
    files = session.scalars(select(Dataset.id).where(Dataset.content_sha256 == sha256))
    series = session.scalars(select(Dataset.id).where(Dataset.series_sha256 == sha256))
    models = session.scalars(select(TrainedModel.id).where(TrainedModel.sha256 == sha256))
    artifacts = session.scalars(select(Artifact).where(Artifact.sha256 == sha256))
    states = session.scalars(select(Checkpoint).where(Checkpoint.sha256 == sha256))
    best = session.scalars(select(Checkpoint).where(Checkpoint.model_sha256 == sha256))
    scored = session.scalars(select(Evaluation.id).where(Evaluation.generated_sha256 == sha256))
    starts = session.scalars(select(Job.id).where(Job.start_sha256 == sha256))
    return [
        *(f"dataset {id_} (the file)" for id_ in files),
        *(f"dataset {id_} (the series)" for id_ in series),
        *(f"model {id_}" for id_ in models),
        *(f"artifact {row.id} ({row.name} of {row.job_id})" for row in artifacts),
        *(f"checkpoint {row.id} (update {row.update} of {row.job_id})" for row in states),
        *(f"checkpoint {row.id} (best model of {row.job_id})" for row in best),
        *(f"evaluation {id_} (the scored run)" for id_ in scored),
        *(f"job {id_} (what it starts from)" for id_ in starts),
    ]
