from collections.abc import Iterable
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from chaos_core.spec import Split
from chaos_store.blobs import CHUNK_BYTES
from chaos_store.tables import Upload, UploadPart

from .datasets import EXAMPLE, DatasetOptions, Sha256
from .resource import Json, Resource, Text

MAX_PARTS = 10_000
MAX_PART_BYTES = 128 * CHUNK_BYTES


class UploadCreate(DatasetOptions):
    """A file that will come in parts, and how it is to be read."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE | {"size_bytes": 734_003_200}]})

    filename: Text = Field(description="its ending helps to tell the format")
    size_bytes: int = Field(ge=1, description="of the whole file, at most `max_upload_bytes` of GET /v1/limits")
    sha256: Sha256 | None = Field(None, description="of the whole file; checked at the end")
    part_bytes: int | None = Field(
        None,
        ge=CHUNK_BYTES,
        le=MAX_PART_BYTES,
        multiple_of=CHUNK_BYTES,
        description="size of each part but the last, in whole MiB; `part_bytes` of GET /v1/limits, or more for files "
        f"of more than {MAX_PARTS} such parts, if left out",
    )

    @field_validator("filename")
    @classmethod
    def _plain(cls, given: str) -> str:
        return given.replace("\\", "/").rpartition("/")[2] or "series"

    def size_of_parts(self, usual: int) -> int:
        least = -(-self.size_bytes // MAX_PARTS)
        wanted = self.part_bytes or min(max(usual, least), MAX_PART_BYTES)
        return -(-wanted // CHUNK_BYTES) * CHUNK_BYTES


class PartOut(Resource):
    object: Literal["upload_part"] = "upload_part"
    number: int = Field(description="from 1 on")
    size_bytes: int
    sha256: str
    created_at: datetime

    @classmethod
    def of(cls, row: UploadPart) -> Self:
        return cls.model_validate(cls.facts(row) | {"size_bytes": row.size})


class UploadLinks(BaseModel):
    self: str
    parts: str
    complete: str
    dataset: str | None


class UploadOut(Resource):
    id: str = Field(examples=["up_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["upload"] = "upload"
    name: str
    filename: str
    status: Literal["open", "completed"]
    size_bytes: int
    part_bytes: int
    part_count: int
    received_parts: int
    received_bytes: int
    sha256: str | None = Field(description="as announced, of the whole file")
    dataset_id: str | None = Field(description="what the upload has become")
    options: Json
    split: Split | None
    expires_at: datetime = Field(description="put off by each part")
    created_at: datetime
    links: UploadLinks

    @classmethod
    def of(cls, row: Upload, parts: int, received: int) -> Self:
        return cls.model_validate(cls._words(row, parts, received))

    @classmethod
    def _words(cls, row: Upload, parts: int, received: int) -> Json:
        own = f"/v1/uploads/{row.id}"
        links: Json = {"self": own, "parts": f"{own}/parts/{{number}}", "complete": f"{own}/complete"}
        links["dataset"] = f"/v1/datasets/{row.dataset_id}" if row.dataset_id else None
        counts = {"part_count": part_count(row), "received_parts": parts, "received_bytes": received}
        return cls.facts(row) | counts | {"links": links}


class UploadDetail(UploadOut):
    parts: list[PartOut] = Field(description="those that have arrived")
    missing: list[int] = Field(description="numbers of those that have not")

    @classmethod
    def whole(cls, row: Upload, parts: Iterable[UploadPart]) -> Self:
        arrived = [PartOut.of(part) for part in parts]
        words = cls._words(row, len(arrived), sum(part.size_bytes for part in arrived))
        return cls.model_validate(words | {"parts": arrived, "missing": missing(row, arrived)})


def part_count(row: Upload) -> int:
    return -(-row.size_bytes // row.part_bytes)


def part_size(row: Upload, number: int) -> int:
    return min(row.part_bytes, row.size_bytes - (number - 1) * row.part_bytes)


def missing(row: Upload, arrived: Iterable[PartOut | UploadPart]) -> list[int]:
    """None of an upload that has become a dataset."""
    there = {part.number for part in arrived}
    return [] if row.dataset_id else [number for number in range(1, part_count(row) + 1) if number not in there]
