from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from chaos_core.spec import Split
from chaos_store.tables import Dataset

from .problem import StoredProblem
from .resource import Fields, Json, Resource, Text

Missing = Literal["refuse", "mask"]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
EXAMPLE: Json = {
    "name": "laser",
    "filename": "laser.csv",
    "time_column": "t",
    "split": {"train": 0.6, "validation": 0.2, "test": 0.2},
}


class DatasetOptions(Fields):
    """The form fields beside `file`."""

    name: Text | None = Field(None, description="the file's own name if left out")
    dt: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="sampling step in your time units; from `time_column` if left out"
    )
    columns: list[Text] | None = Field(
        None, description="columns to use, by name or number, separated by commas; all if left out"
    )
    time_column: Text | None = Field(None, description="column that holds the time")
    inputs: list[Text] | None = Field(
        None, description="columns that hold external inputs and not channels, separated by commas"
    )
    stretch_column: Text | None = Field(
        None, description="column that tells recordings apart: each change of its value begins a new one"
    )
    format: Text = Field("auto", description="told from the bytes, the file name and its content type if left out")
    dataset: list[Text] | None = Field(
        None, description="arrays to read of an NPZ, HDF5, MATLAB or NetCDF file, by name, separated by commas"
    )
    arrays: Literal["stretches", "columns"] | None = Field(
        None, description="whether several arrays are recordings or columns; told from names and shapes if left out"
    )
    delimiter: Literal["comma", "semicolon", "tab", "bar", "blank"] | None = Field(
        None, description="of a text table; found by itself if left out"
    )
    decimal: Literal["point", "comma"] | None = Field(
        None, description="decimal mark of a text table; found by itself if left out"
    )
    header: bool | None = Field(
        None, description="whether the first line of a text table names the columns; found by itself if left out"
    )
    missing: Missing = Field("refuse", description="`mask` keeps missing entries as gaps instead of refusing them")
    split: Split | None = Field(
        None,
        description="shares of the pieces to train on, to choose by and to test on, for jobs that leave `split` out; "
        "in a form as three numbers: 0.6,0.2,0.2",
    )

    @field_validator("split", mode="before")
    @classmethod
    def _shares(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        shares = given.split(",")
        if len(shares) != len(Split.model_fields):
            raise ValueError("send three shares: train,validation,test")
        return dict(zip(Split.model_fields, shares, strict=True))

    @field_validator("columns", "inputs", "dataset", mode="before")
    @classmethod
    def _split(cls, given: str | list[str] | None) -> list[str] | None:
        if not isinstance(given, str):
            return given
        return [name.strip() for name in given.split(",") if name.strip()] or None

    def reader_words(self, filename: str) -> Json:
        return {"name": filename} | self.model_dump(include=set(DatasetOptions.model_fields) - {"name", "split"})

    def stored_split(self) -> Json | None:
        return None if self.split is None else self.split.model_dump()


class DatasetCreate(DatasetOptions):
    """application/json: a dataset whose bytes come later."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE | {"size_bytes": 104_857_600}]})

    filename: Text | None = Field(None, description="its ending helps to tell the format")
    size_bytes: int | None = Field(None, ge=1, description="other numbers of bytes are then refused")
    sha256: Sha256 | None = Field(None, description="other bytes are then refused")

    def expected(self) -> Json | None:
        return self.model_dump(include={"size_bytes", "sha256"}, exclude_none=True) or None


class DatasetForm(DatasetOptions):
    """multipart/form-data"""

    file: bytes = Field(
        description="CSV, TSV, NPY, NPZ, Parquet, HDF5, MATLAB, NetCDF or JSON, also with .gz or .zst",
        json_schema_extra={"type": "string", "contentMediaType": "application/octet-stream"},
    )


class DatasetLinks(BaseModel):
    self: str
    content: str
    analysis: str


class DatasetOut(Resource):
    id: str = Field(examples=["ds_019a0c5e0f7b7d0e8a4f7a1f5b1c2d3e"])
    object: Literal["dataset"] = "dataset"
    name: str
    status: Literal["empty", "processing", "ready", "failed"]
    format: str | None
    size_bytes: int
    content_sha256: str | None = Field(description="of the bytes as uploaded")
    series_sha256: str | None = Field(description="of the series as read")
    rows: int | None
    channels: int | None
    names: list[str] | None
    dt: float | None
    missing_count: int | None
    stretches: int | None = Field(description="number of uninterrupted recordings")
    input_names: list[str] | None = Field(description="external inputs that drive the system")
    options: Json
    expected: Json | None = Field(description="what was announced of bytes that come later")
    split: Split | None = Field(description="for jobs that leave theirs out")
    error: StoredProblem | None
    created_at: datetime
    links: DatasetLinks

    @classmethod
    def of(cls, row: Dataset) -> Self:
        own = f"/v1/datasets/{row.id}"
        return cls.model_validate(
            cls.facts(row)
            | {"error": StoredProblem.of(row.error) if row.error else None}
            | {"links": {"self": own, "content": f"{own}/content", "analysis": f"{own}/analysis"}}
        )
