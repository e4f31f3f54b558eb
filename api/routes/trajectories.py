from fastapi import APIRouter, Request, Response

from chaos_store import trajectories
from chaos_store.errors import NotFound
from chaos_store.tables import Trajectory

from .. import problems
from ..content import DOWNLOAD
from ..context import Caller, Context
from ..deps import Known, Paged, Shared
from ..lookup import one, page
from ..schemas.resource import Page
from ..schemas.trajectories import TrajectoryOut
from .artifacts import send

router = APIRouter(prefix="/trajectories", tags=["trajectories"])


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
    summary="The NPZ file: `x` (steps, N) in the data's units, `z` (steps, M), `latent_start`, all float64",
    **DOWNLOAD,
)
@router.head("/{trajectory_id}/content", operation_id="trajectories_content_head", summary="Size and hash", **DOWNLOAD)
async def content(trajectory_id: str, request: Request, caller: Known, context: Shared) -> Response:
    row = await find(context, caller, trajectory_id)
    return await send(request, context, caller, row.artifact_id)
