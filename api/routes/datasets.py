import asyncio
import tempfile
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from chaos_core import errors as core
from chaos_core.readers import refusals as files
from chaos_store import analyses, blobs, broker, datasets
from chaos_store.blobs import Draft
from chaos_store.errors import (
    DatasetHasContent,
    DatasetInUse,
    DatasetNotReady,
    NotDeletable,
    NotFound,
    QueueFull,
    StorageFull,
)
from chaos_store.tables import Dataset

from .. import problems
from ..content import OCTETS, Content, deliver, download
from ..context import Caller, Context
from ..deps import Known, PageQuery, Shared, Strict
from ..digests import announced_sha256
from ..errors import (
    BadRequest,
    BodyTooLarge,
    DatabaseUnavailable,
    DigestMismatch,
    InvalidDigest,
    InvalidForm,
    InvalidJson,
    SizeMismatch,
    UnsupportedMediaType,
)
from ..lookup import one, page, pair
from ..parsing import parse
from ..receiving import Promise, forget, receive
from ..schemas.analyses import AnalysisOut
from ..schemas.datasets import DatasetCreate, DatasetForm, DatasetOut
from ..schemas.resource import Page
from ..settling import Arrived, Keep, settle
from ..storing import store_parsed, store_unparsed
from ..uploads import Upload, UploadForm, plain_name, require_room

MEDIA_TYPES = {
    "csv": "text/csv", "npy": "application/x-npy", "npz": "application/x-npz", "json": "application/json",
    "parquet": "application/vnd.apache.parquet", "hdf5": "application/x-hdf5", "netcdf": "application/x-netcdf",
    "matlab": "application/x-matlab-data",
}  # fmt: skip
PACKED_TYPES = {".gz": "application/gzip", ".gzip": "application/gzip", ".zst": "application/zstd"}
STORED = download(OCTETS, *MEDIA_TYPES.values(), *sorted(set(PACKED_TYPES.values())), errors=[DatasetNotReady])
BAD_DATA = (
    core.EmptyData, core.TooShort, core.BadShape, core.TooLarge, core.NotFinite, core.ConstantChannel,
    core.ColumnNotNumeric, core.RaggedRow, core.UnknownColumn, core.IrregularTime, core.UnknownFormat,
    core.UnreadableFile, core.PickleRefused, core.ParserLimit, core.NotReal,
    files.FormatMismatch, files.AmbiguousDataset, files.UnknownDataset, files.ExpandsTooFar, files.TooManyMembers,
    files.NestedTooDeep, files.HeaderTooLong, files.NestedCompression, files.UnsafeArchive, files.DuplicateName,
    files.ExternalReference, files.UnknownFilter, files.ReaderCrashed,
)  # fmt: skip


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """Its parts stand among the components already, as parts of a job's spec."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return schema


FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": _schema(DatasetForm),
                "examples": {
                    "csv": {
                        "summary": "a CSV with a header and a time column",
                        "value": {"file": "t,x,y\n0.00,1.2,0.7\n0.01,1.3,0.6\n...", "time_column": "t"},
                    }
                },
            },
            "application/json": {"schema": _schema(DatasetCreate)},
        },
    }
}
RAW: dict[str, Any] = {"requestBody": {"required": True, "content": {"*/*": {"schema": {
    "type": "string", "contentMediaType": "application/octet-stream", "examples": ["t,x\n0.00,1.2\n"]}}}}}  # fmt: skip

router = APIRouter(prefix="/datasets", tags=["datasets"])
missing = problems.declared(NotFound)


class DatasetsQuery(PageQuery):
    status: Literal["empty", "processing", "ready", "failed"] | None = None


class DeleteQuery(Strict):
    cascade: bool = Field(False, description="also delete its jobs with all that they made, once all are finished")


async def find(context: Context, caller: Caller, dataset_id: str) -> Dataset:
    async with context.read() as session:
        return await one(session, datasets.get(caller.project_id, dataset_id), "dataset", dataset_id)


@router.post(
    "",
    status_code=201,
    operation_id="datasets_create",
    summary="Upload a recording",
    description="Up to `inline_upload_bytes` the file is read at once: 201, or a problem and nothing is stored. Above, "
    "the answer is 202 and `status` goes from `processing` to `ready` or `failed`. A JSON body has the options alone: "
    "the dataset is `empty` until PUT /v1/datasets/{id}/content brings its bytes.",
    openapi_extra=FORM,
    responses=problems.declared(
        *BAD_DATA,
        InvalidForm,
        InvalidJson,
        BodyTooLarge,
        UnsupportedMediaType,
        QueueFull,
        DatabaseUnavailable,
        StorageFull,
        *problems.QUOTAS,
    )
    | {202: {"model": DatasetOut, "description": "stored; the file is being read"}},
)
async def create(
    upload: UploadForm, caller: Known, context: Shared, response: Response, background: BackgroundTasks
) -> DatasetOut:
    if isinstance(upload, DatasetCreate):
        made = await _announce(context, caller, upload)
    elif upload.size <= context.settings.inline_upload_bytes:
        made = await _read_at_once(context, caller, upload)
    else:
        row, job = await asyncio.to_thread(store_unparsed, context, caller, upload)
        background.add_task(broker.wake, context.celery, job.id, job.kind)
        made = DatasetOut.of(row)
        response.status_code = 202
    response.headers["Location"] = made.links.self
    return made


async def _announce(context: Context, caller: Caller, asked: DatasetCreate) -> DatasetOut:
    limit, filename = context.settings.max_upload_bytes, plain_name(asked.filename)
    if asked.size_bytes is not None and asked.size_bytes > limit:
        detail = f"the file has {asked.size_bytes} bytes; at most {limit} are taken"
        raise BodyTooLarge(detail, value=asked.size_bytes, limit=limit)
    async with context.write() as session:
        row = await session.run_sync(
            datasets.create,
            project_id=caller.project_id,
            name=asked.name or filename,
            content=None,
            options=asked.reader_words(filename),
            expected=asked.expected(),
            split=asked.stored_split(),
        )
        return DatasetOut.of(row)


async def _read_at_once(context: Context, caller: Caller, upload: Upload) -> DatasetOut:
    with tempfile.TemporaryDirectory(prefix="chaos-upload-") as name:
        folder = Path(name)
        facts = await parse(context, upload, folder)
        row = await asyncio.to_thread(store_parsed, context, caller, upload, folder / "series.npz", facts)
    return DatasetOut.of(row)


@router.get("", operation_id="datasets_list", summary="Datasets, newest first")
async def listed(query: Annotated[DatasetsQuery, Query()], caller: Known, context: Shared) -> Page[DatasetOut]:
    statement = datasets.page(caller.project_id, **query.model_dump())
    async with context.read() as session:
        return await page(session, statement, query, DatasetOut.of)


@router.get("/{dataset_id}", operation_id="datasets_get", summary="One dataset", responses=missing)
async def get(dataset_id: str, caller: Known, context: Shared) -> DatasetOut:
    return DatasetOut.of(await find(context, caller, dataset_id))


@router.delete(
    "/{dataset_id}",
    status_code=204,
    response_class=Response,
    operation_id="datasets_delete",
    summary="Remove a dataset; with cascade=true also its finished jobs and all that they made",
    responses=problems.declared(NotFound, DatasetInUse, NotDeletable, StorageFull),
)
async def delete(dataset_id: str, query: Annotated[DeleteQuery, Query()], caller: Known, context: Shared) -> None:
    async with context.write() as session:
        await session.run_sync(datasets.delete, caller.project_id, dataset_id, cascade=query.cascade)


@router.put(
    "/{dataset_id}/content",
    operation_id="datasets_fill",
    summary="Send the bytes of an empty dataset, as they are",
    description="Any content type. `Content-Digest: sha-256=:BASE64:` is checked where it is sent. 200: the file was "
    "read; 202: a job reads it. A refusal or a broken connection leaves the dataset `empty`.",
    openapi_extra=RAW,
    responses=problems.declared(
        NotFound, DatasetHasContent, InvalidDigest, DigestMismatch, SizeMismatch, *BAD_DATA, BadRequest, BodyTooLarge,
        UnsupportedMediaType, QueueFull, DatabaseUnavailable, StorageFull, *problems.QUOTAS,
    )
    | {202: {"model": DatasetOut, "description": "stored; the file is being read"}},
)  # fmt: skip
async def fill(
    dataset_id: str, request: Request, caller: Known, context: Shared, response: Response, background: BackgroundTasks
) -> DatasetOut:
    row = await find(context, caller, dataset_id)
    if row.status != "empty":
        raise DatasetHasContent(f"Dataset {dataset_id} is {row.status}.", dataset_id=dataset_id, status=row.status)
    expected = row.expected or {}
    sums = [sha256 for sha256 in (announced_sha256(request), expected.get("sha256")) if sha256]
    promise = Promise(context.settings.max_upload_bytes, expected.get("size_bytes"), tuple(sums))
    promise.check_head(request)
    announced = int(request.headers.get("content-length") or expected.get("size_bytes", 0))
    await require_room(context, caller, announced)
    draft = await receive(request, context, promise)
    try:
        if not announced:
            await require_room(context, caller, draft.ref().size)
        made, job = await settle(context, caller, *_landing(context, caller, row, draft, request))
    except BaseException:
        await forget(context, draft)
        raise
    if job is not None:
        background.add_task(broker.wake, context.celery, job.id, job.kind)
        response.status_code = 202
    assert made is not None
    return DatasetOut.of(made)


def _landing(context: Context, caller: Caller, row: Dataset, draft: Draft, request: Request) -> tuple[Arrived, Keep]:
    ref, filename = draft.ref(), str(row.options.get("name", row.name))
    words = row.options | {"content_type": request.headers.get("content-type")}

    def keep(session: Session, facts: datasets.Facts | None) -> Dataset:
        content = blobs.publish(session, draft.content, ref)
        return datasets.fill(session, caller.project_id, row.id, content=content, options=words, facts=facts)

    return Arrived(context, draft.content, ref, filename, words), keep


@router.get("/{dataset_id}/content", operation_id="datasets_content", summary="The bytes as uploaded", **STORED)
@router.head("/{dataset_id}/content", operation_id="datasets_content_head", summary="Size and hash", **STORED)
async def content(dataset_id: str, request: Request, caller: Known, context: Shared) -> Response:
    row = await find(context, caller, dataset_id)
    if row.content_sha256 is None:
        raise DatasetNotReady(f"Dataset {dataset_id} is {row.status}.", dataset_id=dataset_id, status=row.status)
    filename = str(row.options.get("name", row.name))
    plain = MEDIA_TYPES.get(row.format or "", OCTETS)
    media_type = PACKED_TYPES.get(PurePath(filename).suffix.lower(), plain)
    return await deliver(request, context, Content(row.content_sha256, row.size_bytes, media_type, filename))


@router.get(
    "/{dataset_id}/analysis",
    operation_id="datasets_analysis",
    summary="The newest analysis of the dataset without options",
    responses=missing,
)
async def newest_analysis(dataset_id: str, caller: Known, context: Shared) -> AnalysisOut:
    async with context.read() as session:
        await one(session, datasets.get(caller.project_id, dataset_id), "dataset", dataset_id)
        statement = analyses.newest(caller.project_id, dataset_id)
        return AnalysisOut.of(*await pair(session, statement, "analysis of dataset", dataset_id))
