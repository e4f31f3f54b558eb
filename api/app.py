"""`create_app(settings)` makes the service; `uvicorn --factory api.app:create_app` runs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from chaos_store import idempotency
from chaos_store.broker import make_celery
from chaos_store.engine import open_async_database, open_database
from chaos_store.errors import ScopeMissing
from chaos_store.settings import Settings

from . import problems
from .answers import Answers
from .auditing import Auditing
from .conditional import Conditional
from .context import Context
from .envelope import Envelope
from .errors import DatabaseUnavailable, InvalidRequest, RateLimited, Unauthorized
from .headers import Protection, allow_origins
from .idempotency import repeatable
from .instruments import Instruments
from .observing import Observing
from .openapi import complete, declaring
from .routes import (
    analyses,
    archives,
    artifacts,
    audit,
    baselines,
    commands,
    datasets,
    diagnostics,
    evaluations,
    figures,
    jobs,
    keys,
    logs,
    metrics,
    models,
    projects,
    runs,
    service,
    systems,
    trajectories,
    uploads,
    usage,
    validations,
    views,
    webhooks,
    workers,
)  # fmt: skip

VERSION = "0.3.0"
PREFIX = "/v1"
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
    {"name": "uploads", "description": "files that come in parts"},
    {"name": "analyses", "description": "facts about a dataset"},
    {"name": "jobs", "description": "long work"},
    {"name": "models", "description": "trained models"},
    {"name": "evaluations", "description": "scores of any two trajectories"},
    {"name": "trajectories", "description": "free runs of trained models"},
    {"name": "artifacts", "description": "files that jobs made"},
    {"name": "webhooks", "description": "events sent to you, signed by Standard Webhooks"},
    {"name": "access", "description": "keys, projects, usage, audit log"},
    {"name": "service", "description": "health, limits, kinds, errors"},
]
RESOURCES = (
    jobs.polls, jobs.router, datasets.router, views.router, uploads.router, systems.datasets, analyses.router,
    logs.router, metrics.router, baselines.router, commands.router, validations.router, archives.router, models.router,
    runs.router, figures.router, diagnostics.router, trajectories.router, evaluations.router, artifacts.router,
    webhooks.router, webhooks.log, workers.router, keys.router, projects.router, usage.router, audit.router,
)  # fmt: skip


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    context.ledger.start()
    yield
    context.stopping.set()
    await app.state.instruments.close()
    await context.watch.close()
    await context.asking.close()
    await asyncio.to_thread(context.ledger.close)
    await context.rates.close()
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
    app.openapi = complete(app.openapi)  # type: ignore[method-assign]
    context = app.state.context = Context(
        settings=settings,
        database=open_async_database(settings),
        bulk=open_database(settings),
        celery=make_celery(settings, role="sender"),
        parser_slots=asyncio.Semaphore(PARSERS_AT_ONCE),
    )
    for database in (context.database, context.bulk):
        idempotency.follow(database)
    app.add_middleware(Answers, context=context)
    app.add_middleware(Conditional)
    app.add_middleware(Auditing, ledger=context.ledger)
    if settings.cors_origins:
        allow_origins(app, settings.cors_origins)
    app.add_middleware(Protection, pages=frozenset({"/docs", "/redoc", str(app.swagger_ui_oauth2_redirect_url)}))
    app.state.instruments = Instruments.of(context, VERSION)
    app.add_middleware(Envelope, max_upload_bytes=settings.max_upload_bytes)
    app.add_middleware(Observing, meters=app.state.instruments.meters)
    problems.install(app)
    private = (Unauthorized, ScopeMissing, RateLimited, InvalidRequest, DatabaseUnavailable)
    for router in repeatable(RESOURCES, PREFIX):
        app.include_router(declaring(router, *private), prefix=PREFIX)
    for router in (service.router, systems.router):
        app.include_router(declaring(router, InvalidRequest), prefix=PREFIX)
    app.include_router(service.probes)
    return app
