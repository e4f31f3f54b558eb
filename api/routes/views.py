from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

import pydantic_core
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, field_validator

from chaos_core.errors import UnknownColumn
from chaos_core.series import Series
from chaos_core.thinning import FEWEST
from chaos_store.errors import BlobCorrupt, DatasetNotReady, NotFound

from .. import problems
from ..conditional import ASK_AGAIN, names
from ..context import Caller, Context
from ..deps import Known, Shared, Strict
from ..errors import ConversionTooLarge, InvalidRequest
from ..schemas.resource import Json
from ..schemas.views import PreviewOut, SeriesOut, StatsOut
from ..viewing import MAX_POINTS, curves, look, preview, require_ready, stats
from .datasets import find

router = APIRouter(prefix="/datasets", tags=["datasets"])
seen = problems.declared(NotFound, DatasetNotReady, BlobCorrupt, ConversionTooLarge) | {
    304: {"description": "the series is that of If-None-Match"}
}


class PreviewQuery(Strict):
    limit: int = Field(10, ge=1, le=1000, description="rows from each end")


class SeriesQuery(Strict):
    channels: list[str] | None = Field(
        None, description="names, also of inputs, separated by commas; all channels if left out"
    )
    start: int = Field(0, ge=0, description="the first row, from 0")
    stop: int | None = Field(None, ge=1, description="the row after the last; the end if left out")
    max_points: int = Field(1000, ge=FEWEST, le=MAX_POINTS, description="of each channel")
    method: Literal["min_max", "lttb"] = Field(
        "min_max", description="min_max keeps every peak; lttb keeps the shape with fewer points"
    )

    @field_validator("channels", mode="before")
    @classmethod
    def _split(cls, given: list[str] | None) -> list[str] | None:
        return [name.strip() for text in given or [] for name in text.split(",") if name.strip()] or None


async def _shown(
    request: Request,
    context: Context,
    caller: Caller,
    dataset_id: str,
    view: Callable[[Series], Json],
    shape: type[BaseModel],
) -> Response:
    """The same series gives the same view, so its hash is the tag."""
    row = await find(context, caller, dataset_id)
    headers = {"ETag": f'"{require_ready(row)}"', "Cache-Control": ASK_AGAIN}
    if names(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(None, 304, headers)
    made = await look(context, row, view)
    body = {"object": shape.model_fields["object"].default} | made
    return Response(pydantic_core.to_json(body, inf_nan_mode="null"), 200, headers, "application/json")


@router.get(
    "/{dataset_id}/preview",
    operation_id="datasets_preview",
    summary="The first and the last rows, as they were read",
    response_model=PreviewOut,
    responses=seen,
)
async def previewed(
    dataset_id: str, query: Annotated[PreviewQuery, Query()], request: Request, caller: Known, context: Shared
) -> Response:
    view = partial(preview, limit=query.limit)
    return await _shown(request, context, caller, dataset_id, view, PreviewOut)


@router.get(
    "/{dataset_id}/stats",
    operation_id="datasets_stats",
    summary="Each column in numbers, and how it was sampled",
    response_model=StatsOut,
    responses=seen,
)
async def described(dataset_id: str, request: Request, caller: Known, context: Shared) -> Response:
    return await _shown(request, context, caller, dataset_id, stats, StatsOut)


@router.get(
    "/{dataset_id}/series",
    operation_id="datasets_series",
    summary="The series with fewer points, for a plot",
    response_model=SeriesOut,
    responses=seen
    | problems.declared(NotFound, DatasetNotReady, BlobCorrupt, ConversionTooLarge, UnknownColumn, InvalidRequest),
)
async def thinned(
    dataset_id: str, query: Annotated[SeriesQuery, Query()], request: Request, caller: Known, context: Shared
) -> Response:
    view = partial(
        curves,
        names=query.channels,
        start=query.start,
        stop=query.stop,
        most=query.max_points,
        method=query.method,
    )
    return await _shown(request, context, caller, dataset_id, view, SeriesOut)
