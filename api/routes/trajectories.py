from pathlib import PurePath
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from chaos_store import artifacts, trained, trajectories
from chaos_store.errors import NotFound
from chaos_store.tables import Trajectory

from .. import problems
from ..content import deliver_bytes, produced, whole
from ..context import Caller, Context
from ..deps import Known, Paged, Shared, Strict
from ..lookup import one, page
from ..making import check_bytes, make
from ..schemas.resource import Page
from ..schemas.trajectories import TrajectoryOut
from ..tabling import RUN_TYPES, RunForm, converted
from .artifacts import send

RUN = produced(*RUN_TYPES.values())

router = APIRouter(prefix="/trajectories", tags=["trajectories"])


class FormatQuery(Strict):
    format: RunForm = Field("npz", description="`npz` as stored; the others are made from it")


async def find(context: Context, caller: Caller, trajectory_id: str) -> Trajectory:
    async with context.read() as session:
        return await one(session, trajectories.get(caller.project_id, trajectory_id), "trajectory", trajectory_id)


@router.get("", operation_id="trajectories_list", summary="Trajectories, newest first")
async def listed(query: Paged, caller: Known, context: Shared) -> Page[TrajectoryOut]:
    statement = trajectories.page(caller.project_id, **query.place())
    async with context.read() as session:
        return await page(session, statement, query, TrajectoryOut.of)


@router.get(
    "/{trajectory_id}",
    operation_id="trajectories_get",
    summary="One trajectory",
    responses=problems.declared(NotFound),
)
async def get(trajectory_id: str, caller: Known, context: Shared) -> TrajectoryOut:
    return TrajectoryOut.of(await find(context, caller, trajectory_id))


@router.get(
    "/{trajectory_id}/content",
    operation_id="trajectories_content",
    summary="The free run: as stored (NPZ), or as NPY, Parquet or CSV",
    description="NPZ: `x` (steps, N) in the data's units, `z` (steps, M), `latent_start`, all float64; several are "
    "(runs, steps, N) and so on. NPY: `x` alone. Parquet and CSV: a row a step, with `time` from the start (`step` if "
    "dt is not known), the channels by name, and `run` where there are several.",
    **RUN,
)
@router.head("/{trajectory_id}/content", operation_id="trajectories_content_head", summary="Size and hash", **RUN)
async def content(
    trajectory_id: str, query: Annotated[FormatQuery, Query()], request: Request, caller: Known, context: Shared
) -> Response:
    row = await find(context, caller, trajectory_id)
    if query.format == "npz":
        return await send(request, context, caller, row.artifact_id)
    async with context.read() as session:
        stored = await one(session, artifacts.get(caller.project_id, row.artifact_id), "artifact", row.artifact_id)
        model = await one(session, trained.get(caller.project_id, row.model_id), "model", row.model_id)
    check_bytes(stored.size, "the stored trajectory")
    names, dt = model.config["names"], model.config["dt"]
    made = await make(context, converted, await whole(context, stored.sha256), query.format, names, dt)
    filename = f"{PurePath(stored.name).stem}.{query.format}"
    return await deliver_bytes(request, made, RUN_TYPES[query.format], filename)
