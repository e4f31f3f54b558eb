from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field
from sqlalchemy.orm import Session

from chaos_store import keys, projects
from chaos_store.errors import NotFound, ProjectInUse, ScopeMissing, StorageFull
from chaos_store.scopes import Scope
from chaos_store.tables import Project

from .. import problems
from ..context import Caller
from ..deps import OPERATOR, Admin, JsonBody, Known, Paged, Shared, Strict
from ..errors import BodyTooLarge, InvalidJson, UnsupportedMediaType
from ..headers import NO_STORE
from ..lookup import one, page
from ..schemas.projects import ProjectChange, ProjectCreate, ProjectMade, ProjectOut
from ..schemas.resource import Page

BODY = (InvalidJson, BodyTooLarge, UnsupportedMediaType, StorageFull)

router = APIRouter(prefix="/projects", tags=["access"])


class DeleteQuery(Strict):
    cascade: bool = Field(False, description="also remove all that it holds, once no job is under way")


def _seen(caller: Caller) -> str | None:
    """An operator sees every project, others their own."""
    return None if caller.has(Scope.operator) else caller.project_id


@router.post(
    "",
    status_code=201,
    operation_id="projects_create",
    summary="Make a project and its first key, whose secret is shown this once; for operators",
    dependencies=[OPERATOR, JsonBody],
    responses=problems.declared(*BODY),
)
async def make_project(body: ProjectCreate, context: Shared, response: Response) -> ProjectMade:
    def make(session: Session) -> ProjectMade:
        made = keys.create_project(session, body.name)
        project = projects.change(session, made.id, **body.words())
        return ProjectMade.with_key(project, *keys.issue(session, project.id, "first"))

    async with context.write() as session:
        project = await session.run_sync(make)
    response.headers["Location"] = project.links.self
    response.headers["Cache-Control"] = NO_STORE
    return project


@router.get("", operation_id="projects_list", summary="The key's own project; all of them for operators")
async def list_projects(query: Paged, caller: Known, context: Shared) -> Page[ProjectOut]:
    async with context.read() as session:
        return await page(session, projects.page(_seen(caller), **query.place()), query, ProjectOut.of)


@router.get("/{project_id}", operation_id="projects_get", summary="One project", responses=problems.declared(NotFound))
async def get_project(project_id: str, caller: Known, context: Shared) -> ProjectOut:
    async with context.read() as session:
        return ProjectOut.of(await one(session, projects.get(project_id, of=_seen(caller)), "project", project_id))


@router.patch(
    "/{project_id}",
    operation_id="projects_update",
    summary="Change name or retention of a project; its quotas, for operators",
    dependencies=[JsonBody],
    responses=problems.declared(NotFound, *BODY),
)
async def change_project(project_id: str, body: ProjectChange, caller: Admin, context: Shared) -> ProjectOut:
    def change(session: Session) -> Project:
        return projects.change(session, project_id, **body.words())

    async with context.write() as session:
        await one(session, projects.get(project_id, of=_seen(caller)), "project", project_id)
        if "quotas" in body.model_fields_set and not caller.has(Scope.operator):
            raise ScopeMissing("Quotas are set by whoever runs the service.", scope=Scope.operator.value)
        return ProjectOut.of(await session.run_sync(change))


@router.delete(
    "/{project_id}",
    status_code=204,
    response_class=Response,
    operation_id="projects_delete",
    summary="Remove a project with its keys; with cascade=true also with all that it holds; for operators",
    responses=problems.declared(NotFound, ProjectInUse, StorageFull),
)
async def delete_project(
    project_id: str, query: Annotated[DeleteQuery, Query()], caller: Admin, context: Shared
) -> None:
    async with context.write() as session:
        await one(session, projects.get(project_id, of=_seen(caller)), "project", project_id)
        if not caller.has(Scope.operator):
            raise ScopeMissing("Projects are removed by whoever runs the service.", scope=Scope.operator.value)
        if project_id == caller.project_id:
            raise ProjectInUse("The key of this request belongs to the project.", project_id=project_id)
        await session.run_sync(projects.delete, project_id, cascade=query.cascade)
    context.keys.forget_project(project_id)
