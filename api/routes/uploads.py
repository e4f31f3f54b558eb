import asyncio
import hashlib
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, BackgroundTasks, Path, Query, Request, Response
from sqlalchemy.orm import Session

from chaos_store import broker, uploads
from chaos_store.blobs import CHUNK_BYTES, BlobRef, Draft, unpublished
from chaos_store.datasets import Facts
from chaos_store.errors import (
    NotFound,
    PartConflict,
    QueueFull,
    QuotaBytes,
    StorageFull,
    UploadClosed,
    UploadIncomplete,
)
from chaos_store.paging import cut
from chaos_store.tables import Dataset, Upload, UploadPart

from .. import problems
from ..answering import answering
from ..context import Caller, Context
from ..deps import JsonBody, Known, PageQuery, Shared
from ..digests import required_sha256
from ..errors import (
    BadRequest,
    BodyTooLarge,
    DatabaseUnavailable,
    DigestMismatch,
    InvalidDigest,
    InvalidJson,
    SizeMismatch,
    UnsupportedMediaType,
)
from ..lookup import one
from ..receiving import Promise, check_sum, forget, receive
from ..schemas.datasets import DatasetOut
from ..schemas.resource import Page
from ..schemas.uploads import MAX_PARTS, PartOut, UploadCreate, UploadDetail, UploadOut, missing, part_count, part_size
from ..settling import Arrived, settle
from .datasets import BAD_DATA

MISSING_SHOWN = 100
RAW = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {
    "type": "string", "contentMediaType": "application/octet-stream", "examples": ["the part"]}}}}}  # fmt: skip

router = APIRouter(prefix="/uploads", tags=["uploads"])
absent = problems.declared(NotFound)


class UploadsQuery(PageQuery):
    status: Literal["open", "completed"] | None = None


async def find(context: Context, caller: Caller, upload_id: str) -> tuple[Upload, list[UploadPart]]:
    async with context.read() as session:
        row = await one(session, uploads.get(caller.project_id, upload_id), "upload", upload_id)
        return row, list((await session.scalars(uploads.parts(row.id))).all())


@router.post(
    "",
    status_code=201,
    operation_id="uploads_create",
    summary="Begin an upload in parts, which survives broken connections",
    dependencies=[JsonBody],
    responses=problems.declared(
        InvalidJson, BodyTooLarge, UnsupportedMediaType, DatabaseUnavailable, StorageFull, QuotaBytes
    ),
)
async def create(body: UploadCreate, caller: Known, context: Shared, response: Response) -> UploadDetail:
    settings = context.settings
    if body.size_bytes > settings.max_upload_bytes:
        detail = f"the file has {body.size_bytes} bytes; at most {settings.max_upload_bytes} are taken"
        raise BodyTooLarge(detail, value=body.size_bytes, limit=settings.max_upload_bytes)
    part_bytes = body.size_of_parts(settings.part_bytes)
    if -(-body.size_bytes // part_bytes) > MAX_PARTS:
        detail = f"{body.size_bytes} bytes would be more than {MAX_PARTS} parts of {part_bytes}"
        raise BodyTooLarge(detail, value=body.size_bytes, limit=MAX_PARTS * part_bytes)
    async with context.write() as session:
        row = await session.run_sync(
            uploads.create,
            project_id=caller.project_id,
            name=body.name or body.filename,
            filename=body.filename,
            size_bytes=body.size_bytes,
            part_bytes=part_bytes,
            expiry_s=settings.upload_expiry_s,
            sha256=body.sha256,
            options=body.reader_words(body.filename),
            split=body.stored_split(),
            max_bytes=settings.max_blob_bytes,
        )
        await session.refresh(row)
        made = UploadDetail.whole(row, [])
    response.headers["Location"] = made.links.self
    return made


@router.get("", operation_id="uploads_list", summary="Uploads in parts, newest first")
async def listed(query: Annotated[UploadsQuery, Query()], caller: Known, context: Shared) -> Page[UploadOut]:
    async with context.read() as session:
        rows, next_cursor = cut(
            (await session.scalars(uploads.page(caller.project_id, **query.model_dump()))).all(), query.limit
        )
        counted = await session.execute(uploads.tallies([row.id for row in rows]))
    sums = {upload_id: (parts, size) for upload_id, parts, size in counted}
    data = [UploadOut.of(row, *sums.get(row.id, (0, 0))) for row in rows]
    return Page(data=data, next_cursor=next_cursor, has_more=next_cursor is not None)


@router.get(
    "/{upload_id}",
    operation_id="uploads_get",
    summary="One upload: what has arrived, what is missing",
    responses=absent,
)
async def get(upload_id: str, caller: Known, context: Shared) -> UploadDetail:
    return UploadDetail.whole(*await find(context, caller, upload_id))


@router.put(
    "/{upload_id}/parts/{number}",
    operation_id="uploads_part",
    summary="Send one part: the raw bytes, with their Content-Digest",
    description="Parts may come in any order and several at once. The same bytes once more change nothing.",
    openapi_extra=RAW,
    responses=problems.declared(
        NotFound, UploadClosed, PartConflict, InvalidDigest, DigestMismatch, SizeMismatch, BadRequest, BodyTooLarge,
        UnsupportedMediaType, StorageFull,
    ),
)  # fmt: skip
async def put_part(
    upload_id: str, number: Annotated[int, Path(ge=1, le=MAX_PARTS)], request: Request, caller: Known, context: Shared
) -> PartOut:
    async with context.read() as session:
        row = await one(session, uploads.get(caller.project_id, upload_id), "upload", upload_id)
    if row.status != "open":
        raise UploadClosed(f"Upload {upload_id} has become {row.dataset_id}.", status=row.status)
    if number > part_count(row):
        detail = f"Upload {upload_id} has {part_count(row)} parts, no part {number}."
        raise NotFound(detail, kind="part", id=str(number))
    size, first = part_size(row, number), (number - 1) * row.part_bytes // CHUNK_BYTES
    promise = Promise(size, size, (required_sha256(request),))
    draft = await receive(request, context, promise, first=first)
    try:
        return PartOut.of(await asyncio.to_thread(_keep_part, context, caller, upload_id, number, draft))
    except BaseException:
        await forget(context, draft)
        raise


def _keep_part(context: Context, caller: Caller, upload_id: str, number: int, draft: Draft) -> UploadPart:
    with answering(), context.bulk.write.begin() as session:
        expiry_s = context.settings.upload_expiry_s
        return uploads.keep_part(session, caller.project_id, upload_id, number, draft, expiry_s)


@router.post(
    "/{upload_id}/complete",
    operation_id="uploads_complete",
    summary="All parts are there: make the dataset",
    description="201 where the file was read at once, 202 where a job reads it, as for POST /v1/datasets; 200 where "
    "that has happened before. A file that cannot be read leaves the upload open.",
    status_code=201,
    responses=problems.declared(
        NotFound,
        UploadIncomplete,
        DigestMismatch,
        *BAD_DATA,
        QueueFull,
        DatabaseUnavailable,
        StorageFull,
        *problems.QUOTAS,
    )
    | {
        200: {"model": DatasetOut, "description": "completed before"},
        202: {"model": DatasetOut, "description": "stored; the file is being read"},
    },
)
async def complete(
    upload_id: str, caller: Known, context: Shared, response: Response, background: BackgroundTasks
) -> DatasetOut:
    row, parts = await find(context, caller, upload_id)
    made = None
    if row.status == "open":
        _require_all(row, parts)
        ref = await asyncio.to_thread(_summed, context, row)
        arrived = Arrived(context, row.content, ref, row.filename, row.options)
        made, job = await settle(context, caller, arrived, partial(_close, caller, upload_id, ref))
        if job is not None:
            background.add_task(broker.wake, context.celery, job.id, job.kind)
    response.status_code = 200 if made is None else 202 if made.status == "processing" else 201
    shown = DatasetOut.of(made or await _of(context, caller, upload_id))
    response.headers["Location"] = shown.links.self
    return shown


def _require_all(row: Upload, parts: list[UploadPart]) -> None:
    lacking = missing(row, parts)
    if lacking:
        detail = f"{len(lacking)} of {part_count(row)} parts of {row.id} have not arrived."
        raise UploadIncomplete(detail, missing=lacking[:MISSING_SHOWN], count=len(lacking))


def _summed(context: Context, row: Upload) -> BlobRef:
    """The sum of the whole, read back once in short looks: the sums of the parts do not give it."""
    digest, size = hashlib.sha256(), 0
    with answering():
        for chunk in unpublished(context.bulk, row.content):
            digest.update(chunk)
            size += len(chunk)
    check_sum(digest.hexdigest(), row.sha256)
    return BlobRef(digest.hexdigest(), size)


def _close(caller: Caller, upload_id: str, ref: BlobRef, session: Session, facts: Facts | None) -> Dataset | None:
    return uploads.close(session, caller.project_id, upload_id, ref, facts)


async def _of(context: Context, caller: Caller, upload_id: str) -> Dataset:
    async with context.read() as session:
        row = await one(session, uploads.get(caller.project_id, upload_id), "upload", upload_id)
        return await one(session, uploads.of_dataset(row), "dataset", row.dataset_id or "")


@router.delete(
    "/{upload_id}",
    status_code=204,
    response_class=Response,
    operation_id="uploads_delete",
    summary="Give an upload up; a dataset that it has become stays",
    responses=problems.declared(NotFound, StorageFull),
)
async def delete(upload_id: str, caller: Known, context: Shared) -> None:
    async with context.write() as session:
        await session.run_sync(uploads.delete, caller.project_id, upload_id)
