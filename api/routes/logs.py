from collections.abc import Iterator, Sequence
from typing import Annotated, get_args

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, field_validator

from chaos_store import joblogs, jobs
from chaos_store.errors import NotFound
from chaos_store.tables import Job

from .. import problems
from ..deps import Known, Shared, Strict
from ..lookup import one
from ..schemas.logs import Level, LogCut, LogLine, LogPage

router = APIRouter(prefix="/jobs", tags=["jobs"])
TEXT = "text/plain"
LEVELS = get_args(Level)
INDENT = "\n    "


class LogsQuery(Strict):
    after: int = Field(
        0, ge=0, lt=2**62, description="`seq` of the last line seen; also `next_cursor` of the page before"
    )
    limit: int = Field(200, ge=1, le=1000)
    levels: str | None = Field(None, description="only these levels, separated by commas", examples=["warning,error"])

    @field_validator("levels")
    @classmethod
    def _known(cls, given: str | None) -> str | None:
        unknown = [name for name in (given or "").split(",") if name.strip() not in LEVELS]
        if given is not None and unknown:
            raise ValueError(f"there is no level '{unknown[0]}'; known: {', '.join(LEVELS)}")
        return given

    def wanted(self) -> list[str] | None:
        return None if self.levels is None else [name.strip() for name in self.levels.split(",")]


@router.get(
    "/{job_id}/logs",
    operation_id="jobs_logs",
    summary="What worker and runner said in all attempts, oldest first",
    description="With `Accept: text/plain` the same page as text; a `Link` header leads to the next one.",
    response_model=LogPage,
    responses=problems.declared(NotFound)
    | {200: {"description": "a page", "content": {TEXT: {"schema": {"type": "string"}}}}},
)
async def listed(
    job_id: str, query: Annotated[LogsQuery, Query()], request: Request, caller: Known, context: Shared
) -> LogPage | Response:
    levels = query.wanted()
    statement = joblogs.page(caller.project_id, job_id, after=query.after, limit=query.limit + 1, levels=levels)
    async with context.read() as session:
        job = await one(session, jobs.get(caller.project_id, job_id), "job", job_id)
        rows = (await session.scalars(statement)).all()
    lines, more = [LogLine.of(row) for row in rows[: query.limit]], len(rows) > query.limit
    if _is_text_wanted(request.headers.get("accept", "")):
        link = request.url.include_query_params(after=lines[-1].seq) if more else None
        headers = {} if link is None else {"Link": f'<{link.path}?{link.query}>; rel="next"'}
        return Response("".join(_written(job, lines, query.after)), headers=headers, media_type=TEXT)
    return LogPage(
        data=lines,
        next_cursor=str(lines[-1].seq) if lines else None,
        has_more=more,
        cut=LogCut(lines=job.log_lines_cut, bytes=job.log_bytes_cut),
    )


def _is_text_wanted(accept: str) -> bool:
    """Where JSON is accepted too, it is preferred."""
    types = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return TEXT in types and "application/json" not in types


def _written(job: Job, lines: Sequence[LogLine], after: int) -> Iterator[str]:
    if job.log_lines_cut and after == 0:
        yield f"({job.log_lines_cut} older lines, {job.log_bytes_cut} bytes, made room for these)\n"
    for line in lines:
        time = line.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        message = line.message.replace("\n", INDENT)
        yield f"{time} {line.level:8} [{line.attempt}] {line.source}: {message}\n"
