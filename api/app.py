"""`create_app(settings)` makes the service; `uvicorn --factory api.app:create_app` runs it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from chaos_store.broker import make_celery
from chaos_store.engine import open_async_database, open_database
from chaos_store.settings import Settings

from . import problems
from .context import Context
from .envelope import Envelope
from .errors import DatabaseUnavailable, InvalidRequest, Unauthorized
from .routes import (
    analyses,
    archives,
    artifacts,
    baselines,
    commands,
    datasets,
    diagnostics,
    evaluations,
    figures,
    jobs,
    metrics,
    models,
    runs,
    service,
    systems,
    trajectories,
    validations,
)  # fmt: skip
from .schemas.problem import Problem

VERSION = "0.1.0"
PARSERS_AT_ONCE = 2
DESCRIPTION = """
Learns chaotic dynamics from time series: upload a recording, get its Lyapunov exponent and forcing interval, train a
recurrent network by sparse teacher forcing, download a scored model.

Walk: `POST /v1/datasets` -> `POST /v1/jobs {"dataset_id"}` -> `GET /v1/jobs/{id}?wait=30` ->
`GET /v1/models/{model_id}/content`.
Errors are problem documents (RFC 9457) whose `code` is stable and whose `remedy` says what to do: `GET /v1/problems`.
"""
TAGS = [
    {"name": "datasets", "description": "recordings"},
    {"name": "analyses", "description": "facts about a dataset"},
    {"name": "jobs", "description": "long work"},
    {"name": "models", "description": "trained models"},
    {"name": "evaluations", "description": "scores of any two trajectories"},
    {"name": "trajectories", "description": "free runs of trained models"},
    {"name": "artifacts", "description": "files that jobs made"},
    {"name": "service", "description": "health, limits, kinds, errors"},
]
RESOURCES = (
    datasets.router, systems.datasets, analyses.router, jobs.router, metrics.router, baselines.router, commands.router,
    validations.router, archives.router, models.router, runs.router, figures.router, diagnostics.router,
    trajectories.router, evaluations.router, artifacts.router,
)  # fmt: skip


def _with_problem(openapi: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    @cache
    def document() -> dict[str, Any]:
        made = openapi()
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        made["components"]["schemas"] |= problem.pop("$defs", {}) | {"Problem": problem}
        return made

    return document


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    context: Context = app.state.context
    context.stopping.set()
    await context.watch.close()
    context.celery.close()
    context.bulk.dispose()
    await context.database.dispose()


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings()
    app = FastAPIOffline(
        title="chaos service",
        version=VERSION,
        description=DESCRIPTION,
        openapi_tags=TAGS,
        servers=[{"url": "/"}],
        lifespan=_lifespan,
        separate_input_output_schemas=False,
    )
    app.openapi = _with_problem(app.openapi)  # type: ignore[method-assign]
    app.state.context = Context(
        settings=settings,
        database=open_async_database(settings),
        bulk=open_database(settings),
        celery=make_celery(settings, role="sender"),
        parser_slots=asyncio.Semaphore(PARSERS_AT_ONCE),
    )
    app.add_middleware(Envelope, max_upload_bytes=settings.max_upload_bytes)
    problems.install(app)
    private = problems.declared(Unauthorized, InvalidRequest, DatabaseUnavailable)
    for router in RESOURCES:
        app.include_router(router, prefix="/v1", responses=private)
    for router in (service.router, systems.router):
        app.include_router(router, prefix="/v1", responses=problems.declared(InvalidRequest))
    app.include_router(service.probes)
    return app
