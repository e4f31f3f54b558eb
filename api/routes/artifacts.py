from fastapi import APIRouter, Request, Response

from chaos_store import artifacts
from chaos_store.errors import NotFound
from chaos_store.tables import Artifact

from .. import problems
from ..content import OCTETS, SAFETENSORS, Content, deliver, download
from ..context import Caller, Context
from ..deps import Known, Shared
from ..lookup import one
from ..schemas.artifacts import ArtifactOut
from ..tabling import RUN_TYPES

FILE = download(SAFETENSORS, OCTETS, RUN_TYPES["npz"], "image/svg+xml", "image/png")

router = APIRouter(prefix="/artifacts", tags=["artifacts"], responses=problems.declared(NotFound))


async def find(context: Context, caller: Caller, artifact_id: str) -> Artifact:
    async with context.read() as session:
        return await one(session, artifacts.get(caller.project_id, artifact_id), "artifact", artifact_id)


async def send(request: Request, context: Context, caller: Caller, artifact_id: str) -> Response:
    row = await find(context, caller, artifact_id)
    return await deliver(request, context, Content(row.sha256, row.size, row.media_type, row.name))


@router.get("/{artifact_id}", operation_id="artifacts_get", summary="One artifact")
async def get(artifact_id: str, caller: Known, context: Shared) -> ArtifactOut:
    return ArtifactOut.of(await find(context, caller, artifact_id))


@router.get("/{artifact_id}/content", operation_id="artifacts_content", summary="The bytes", **FILE)
@router.head("/{artifact_id}/content", operation_id="artifacts_content_head", summary="Size and hash", **FILE)
async def content(artifact_id: str, request: Request, caller: Known, context: Shared) -> Response:
    return await send(request, context, caller, artifact_id)
