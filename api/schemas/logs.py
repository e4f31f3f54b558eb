from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, Field

from chaos_store.tables import JobLog

from .resource import Page, Resource

Level = Literal["debug", "info", "warning", "error", "critical"]


class LogLine(Resource):
    seq: int
    object: Literal["log_line"] = "log_line"
    attempt: int
    source: Literal["worker", "runner"] = Field(description="`runner`: the process that does the job")
    level: Level
    message: str = Field(examples=["native kernel on cpu, from update 0 to 15000"])
    created_at: datetime

    @classmethod
    def of(cls, row: JobLog) -> Self:
        return cls.model_validate(cls.facts(row))


class LogCut(BaseModel):
    lines: int
    bytes: int


class LogPage(Page[LogLine]):
    cut: LogCut = Field(description="older lines that made room for newer ones")
