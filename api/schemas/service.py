from pydantic import BaseModel

from .resource import Json


class Limits(BaseModel):
    object: str = "limits"
    inline_upload_bytes: int
    max_upload_bytes: int
    max_json_bytes: int
    parse_memory_bytes: int
    parse_cpu_s: int
    max_rows: int
    max_columns: int
    max_wait_s: float
    max_page: int


class KindOut(BaseModel):
    kind: str
    summary: str
    equation: str | None
    citation: str | None
    settings_schema: Json


class ModelTypes(BaseModel):
    object: str = "model_types"
    cells: list[KindOut]
    forcings: list[KindOut]
    observations: list[KindOut]


class Live(BaseModel):
    status: str = "ok"


class Ready(BaseModel):
    status: str
    checks: dict[str, str]
