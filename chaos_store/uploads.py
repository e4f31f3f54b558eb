"""Uploads: files that come in parts, in any order, over as many connections and days as it takes."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from sqlalchemy import Select, func, select
from sqlalchemy import delete as remove
from sqlalchemy.orm import Session

from . import blobs, capacity, datasets
from .blobs import BlobRef, Draft
from .datasets import Facts
from .engine import now
from .errors import NotFound, PartConflict, UploadClosed
from .paging import Place, window
from .tables import Dataset, Upload, UploadPart

__all__ = ["close", "create", "delete", "get", "keep_part", "of_dataset", "page", "parts", "remove_row", "tallies"]

QUIETLY = {"synchronize_session": False}


def create(
    session: Session,
    *,
    project_id: str,
    name: str,
    filename: str,
    size_bytes: int,
    part_bytes: int,
    expiry_s: float,
    sha256: str | None = None,
    options: Mapping[str, Any] | None = None,
    split: Mapping[str, Any] | None = None,
    max_bytes: int | None = None,
) -> Upload:
    """Open for parts; StorageFull or QuotaBytes where it would have no room beside the other uploads under way."""
    capacity.check(session, _promised(session) + size_bytes, max_bytes)
    capacity.foresee_bytes(session, project_id, _promised(session, project_id) + size_bytes)
    upload = Upload(
        project_id=project_id,
        name=name,
        filename=filename,
        size_bytes=size_bytes,
        part_bytes=part_bytes,
        sha256=sha256,
        options=dict(options or {}),
        split=None if split is None else dict(split),
        expires_at=now() + expiry_s,
    )
    session.add(upload)
    session.flush()
    return upload


def get(project_id: str, upload_id: str) -> Select[Upload]:
    return select(Upload).where(Upload.project_id == project_id, Upload.id == upload_id)


def page(project_id: str, *, status: str | None = None, **place: Unpack[Place]) -> Select[Upload]:
    statement = select(Upload).where(Upload.project_id == project_id)
    if status is not None:
        statement = statement.where(Upload.status == status)
    return window(statement, Upload, **place)


def parts(upload_id: str) -> Select[UploadPart]:
    return select(UploadPart).where(UploadPart.upload_id == upload_id).order_by(UploadPart.number)


def tallies(upload_ids: Sequence[str]) -> Select[str, int, int]:
    """Of each upload with parts: their number, and their bytes."""
    counts = select(UploadPart.upload_id, func.count(), func.sum(UploadPart.size))
    return counts.where(UploadPart.upload_id.in_(list(upload_ids))).group_by(UploadPart.upload_id)


def of_dataset(upload: Upload) -> Select[Dataset]:
    """What a closed upload has become."""
    return datasets.get(upload.project_id, upload.dataset_id or "")


def keep_part(
    session: Session, project_id: str, upload_id: str, number: int, draft: Draft, expiry_s: float
) -> UploadPart:
    """The chunks of the draft become those of the upload; the same bytes once more change nothing but its expiry."""
    upload = _lock(session, project_id, upload_id)
    if upload.status != "open":
        raise UploadClosed(f"Upload {upload_id} has become {upload.dataset_id}.", status=upload.status)
    ref = draft.ref()
    stored = session.get(UploadPart, (upload_id, number))
    if stored is None:
        blobs.rename(session, draft, upload.content)
        stored = UploadPart(upload_id=upload_id, number=number, size=ref.size, sha256=ref.sha256)
        session.add(stored)
    elif stored.sha256 == ref.sha256:
        blobs.discard(session, draft.content)
    else:
        detail = f"Part {number} of {upload_id} has come already, with other bytes."
        raise PartConflict(detail, number=number, sha256=stored.sha256)
    upload.expires_at = now() + expiry_s
    session.flush()
    return stored


def close(session: Session, project_id: str, upload_id: str, ref: BlobRef, facts: Facts | None) -> Dataset | None:
    """The parts become a blob and a dataset; None where that has happened already."""
    upload = _lock(session, project_id, upload_id)
    if upload.status != "open":
        return None
    content = blobs.publish(session, upload.content, ref)
    dataset = datasets.create(
        session,
        project_id=project_id,
        name=upload.name,
        content=content,
        options=upload.options,
        split=upload.split,
        facts=facts,
    )
    upload.status, upload.dataset_id = "completed", dataset.id
    session.flush()
    return dataset


def delete(session: Session, project_id: str, upload_id: str) -> None:
    """What it has become stays; bytes that have become nothing go with the next collection."""
    remove_row(session, _lock(session, project_id, upload_id))


def remove_row(session: Session, upload: Upload) -> None:
    session.execute(remove(UploadPart).where(UploadPart.upload_id == upload.id), execution_options=QUIETLY)
    session.delete(upload)
    session.flush()


def _promised(session: Session, project_id: str | None = None) -> int:
    under_way = select(func.coalesce(func.sum(Upload.size_bytes), 0)).where(Upload.status == "open")
    if project_id is not None:
        under_way = under_way.where(Upload.project_id == project_id)
    return int(session.scalar(under_way) or 0)


def _lock(session: Session, project_id: str, upload_id: str) -> Upload:
    locked = get(project_id, upload_id).with_for_update()
    upload = session.scalar(locked, execution_options={"populate_existing": True})
    if upload is None:
        raise NotFound(f"There is no upload {upload_id}.", kind="upload", id=upload_id)
    return upload
