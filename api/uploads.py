"""The upload form: multipart, spooled to disk, its fields checked one by one; and the same fields as JSON."""

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from chaos_store import capacity

from .context import Caller, Context
from .deps import Known
from .errors import BodyTooLarge, InvalidForm, InvalidJson, UnsupportedMediaType
from .schemas.datasets import DatasetCreate, DatasetOptions

MAX_FIELDS = 4200
MAX_FIELD_BYTES = 64 * 1024
CHUNK_BYTES = 1024 * 1024
LISTS = ("columns", "inputs", "dataset")

Options = TypeVar("Options", bound=DatasetOptions)


@dataclass(frozen=True)
class Upload:
    file: UploadFile
    size: int
    filename: str
    options: DatasetOptions
    origin: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        return self.options.name or self.filename

    def reader_words(self) -> dict[str, Any]:
        """What the reader is asked, here or in a later job."""
        words = self.options.reader_words(self.filename) | {"content_type": self.file.content_type}
        return words | ({"generated": self.origin} if self.origin else {})

    def copy_to(self, path: Path) -> None:
        self.file.file.seek(0)
        with path.open("wb") as copy:
            shutil.copyfileobj(self.file.file, copy, CHUNK_BYTES)


async def read_upload(request: Request, caller: Known) -> AsyncIterator[Upload | DatasetCreate]:
    """A file with its fields, or the fields alone."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given == "application/json":
        yield await _announced(request)
        return
    if given != "multipart/form-data":
        raise UnsupportedMediaType(f"the body is '{given or 'without a type'}'", expected="multipart/form-data")
    context: Context = request.app.state.context
    await require_room(context, caller, int(request.headers.get("content-length") or 0))
    form = await _form(request)
    try:
        upload = _checked(form, context.settings.max_upload_bytes)
        await require_room(context, caller, upload.size)
        yield upload
    finally:
        await form.close()


UploadForm = Annotated[Upload | DatasetCreate, Depends(read_upload)]


async def require_room(context: Context, caller: Caller, size: int) -> None:
    """Said before the body is read, as far as its length is announced."""
    async with context.read() as session:
        await session.run_sync(capacity.check, size, context.settings.max_blob_bytes)
        await session.run_sync(capacity.foresee_bytes, caller.project_id, size)


async def _announced(request: Request) -> DatasetCreate:
    body = await request.body()
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidJson(str(error)) from error
    return _validated(DatasetCreate, given)


async def _form(request: Request) -> FormData:
    try:
        return await request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
    except HTTPException as error:
        if error.status_code == 400:
            raise InvalidForm(error.detail) from error
        raise
    except ClientDisconnect as error:
        raise InvalidForm("the connection was closed before the end of the body") from error


def _checked(form: FormData, limit: int) -> Upload:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        text = "no file part" if file is None else "a field of text; send it as a file part, with a file name"
        raise RequestValidationError([{"loc": ("body", "file"), "msg": text, "type": "missing", "input": None}])
    size = file.size or 0
    if size > limit:
        raise BodyTooLarge(f"the file has {size} bytes; at most {limit} are taken", value=size, limit=limit)
    return Upload(file, size, plain_name(file.filename), _options(form))


def plain_name(given: str | None) -> str:
    return PurePath((given or "").replace("\\", "/")).name[:200] or "series"


def _options(form: FormData) -> DatasetOptions:
    fields: dict[str, Any] = {}
    for name in form:
        values = [value for value in form.getlist(name) if value != ""]
        if name != "file" and values:
            fields[name] = values if name in LISTS and len(values) > 1 else values[-1]
    return _validated(DatasetOptions, fields)


def _validated(kind: type[Options], fields: Any) -> Options:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise RequestValidationError([item | {"loc": ("body", *item["loc"])} for item in found], body=fields) from error
