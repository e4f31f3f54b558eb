import asyncio
import tempfile
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response
from pydantic import Field

from chaos_core import errors as core
from chaos_core.readers import refusals as files
from chaos_store import analyses, broker, datasets
from chaos_store.errors import DatasetInUse, NotDeletable, NotFound, QueueFull, StorageFull
from chaos_store.tables import Dataset

from .. import problems
from ..content import OCTETS, Content, deliver, download
from ..context import Caller, Context
from ..deps import Known, PageQuery, Shared, Strict
from ..errors import BodyTooLarge, DatabaseUnavailable, InvalidForm, UnsupportedMediaType
from ..lookup import one, page, pair
from ..parsing import parse
from ..schemas.analyses import AnalysisOut
from ..schemas.datasets import DatasetForm, DatasetOut
from ..schemas.resource import Page
from ..storing import store_parsed, store_unparsed
from ..uploads import Upload, UploadForm

MEDIA_TYPES = {
    "csv": "text/csv", "npy": "application/x-npy", "npz": "application/x-npz", "json": "application/json",
    "parquet": "application/vnd.apache.parquet", "hdf5": "application/x-hdf5", "netcdf": "application/x-netcdf",
    "matlab": "application/x-matlab-data",
}  # fmt: skip
PACKED_TYPES = {".gz": "application/gzip", ".gzip": "application/gzip", ".zst": "application/zstd"}
FILE = download(OCTETS, *MEDIA_TYPES.values(), *sorted(set(PACKED_TYPES.values())))
BAD_DATA = (
    core.EmptyData, core.TooShort, core.BadShape, core.TooLarge, core.NotFinite, core.ConstantChannel,
    core.ColumnNotNumeric, core.RaggedRow, core.UnknownColumn, core.IrregularTime, core.UnknownFormat,
    core.UnreadableFile, core.PickleRefused, core.ParserLimit, core.NotReal,
    files.FormatMismatch, files.AmbiguousDataset, files.UnknownDataset, files.ExpandsTooFar, files.TooManyMembers,
    files.NestedTooDeep, files.HeaderTooLong, files.NestedCompression, files.UnsafeArchive, files.DuplicateName,
    files.ExternalReference, files.UnknownFilter, files.ReaderCrashed,
)  # fmt: skip
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": DatasetForm.model_json_schema(),
                "examples": {
                    "csv": {
                        "summary": "a CSV with a header and a time column",
                        "value": {"file": "t,x,y\n0.00,1.2,0.7\n0.01,1.3,0.6\n...", "time_column": "t"},
                    }
                },
            }
        },
    }
}

router = APIRouter(prefix="/datasets", tags=["datasets"])
missing = problems.declared(NotFound)


class DatasetsQuery(PageQuery):
    status: Literal["processing", "ready", "failed"] | None = None


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
    "the answer is 202 and `status` goes from `processing` to `ready` or `failed`.",
    openapi_extra=FORM,
    responses=problems.declared(
        *BAD_DATA,
        InvalidForm,
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
    if upload.size <= context.settings.inline_upload_bytes:
        made = await _read_at_once(context, caller, upload)
    else:
        row, job = await asyncio.to_thread(store_unparsed, context, caller, upload)
        background.add_task(broker.wake, context.celery, job.id, job.kind)
        made = DatasetOut.of(row)
        response.status_code = 202
    response.headers["Location"] = made.links.self
    return made


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


@router.get("/{dataset_id}/content", operation_id="datasets_content", summary="The bytes as uploaded", **FILE)
@router.head("/{dataset_id}/content", operation_id="datasets_content_head", summary="Size and hash", **FILE)
async def content(dataset_id: str, request: Request, caller: Known, context: Shared) -> Response:
    row = await find(context, caller, dataset_id)
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
