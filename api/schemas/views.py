from typing import Literal

from pydantic import BaseModel, Field

Value = float | None


class PreviewOut(BaseModel):
    object: Literal["dataset_preview"] = "dataset_preview"
    dataset_id: str
    rows: int
    dt: float | None
    names: list[str] = Field(description="of the columns of `first` and `last`: the channels, then the inputs")
    channels: int = Field(description="how many of them are channels")
    first: list[list[Value]] = Field(description="the first rows; null where an entry is missing")
    last: list[list[Value]] = Field(description="the last rows, in order of time; none of them stands in `first`")
    last_start: int = Field(description="number of the first row of `last`; rows count from 0")


class FlatOut(BaseModel):
    start: int
    rows: int
    value: float


class ColumnOut(BaseModel):
    name: str
    role: Literal["channel", "input"]
    count: int
    missing: int
    min: float
    max: float
    mean: float
    std: float
    quantiles: dict[str, float]
    flat: FlatOut | None = Field(description="the longest run of rows with one and the same value")
    warnings: list[str]


class SamplingOut(BaseModel):
    rows: int
    dt: float | None
    duration: float | None = Field(description="dt times the number of steps, over all recordings")
    stretch_count: int
    shortest_stretch: int
    longest_stretch: int
    stretches: list[tuple[int, int]] = Field(description="first row and the row after the last, of the first hundred")
    gaps: int = Field(description="runs of rows in which a channel is missing")
    gap_rows: int
    longest_gap: int


class StatsOut(BaseModel):
    object: Literal["dataset_stats"] = "dataset_stats"
    dataset_id: str
    sampling: SamplingOut
    columns: list[ColumnOut]


class CurveOut(BaseModel):
    name: str
    role: Literal["channel", "input"]
    index: list[int] = Field(description="numbers of the rows, from 0")
    values: list[Value] = Field(description="null where an entry is missing")


class SeriesOut(BaseModel):
    object: Literal["dataset_series"] = "dataset_series"
    dataset_id: str
    rows: int = Field(description="of the whole series")
    dt: float | None = Field(description="the time of a row is `index` * dt within its recording")
    start: int
    stop: int
    method: Literal["min_max", "lttb"]
    channels: list[CurveOut]
    breaks: list[int] = Field(description="rows after `start` at which another recording begins, the first thousand")
