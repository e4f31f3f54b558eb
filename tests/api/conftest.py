"""The real app on a real database, and a project in which a job has run to its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from api.app import create_app
from chaos_core import Series
from chaos_store import analyses, artifacts, datasets, jobs, keys, trained, trajectories
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.states import Kind

MODEL_BYTES = bytes(range(256)) * 5000
FIGURE = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


@pytest.fixture
async def app(service_settings: Settings) -> AsyncIterator[FastAPI]:
    made = create_app(service_settings)
    async with made.router.lifespan_context(made):
        yield made


@asynccontextmanager
async def client_of(settings: Settings, key: str = "none") -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app of its own."""
    app = create_app(settings)
    async with app.router.lifespan_context(app), _client(app, key) as made:
        yield made


def _client(app: FastAPI, key: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://chaos", headers={"Authorization": f"Bearer {key}"})


@pytest.fixture
async def client(app: FastAPI, api_key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(app, api_key) as made:
        yield made


@pytest.fixture
async def stranger(app: FastAPI, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key of another project."""
    with database.write.begin() as session:
        key = keys.issue(session, keys.create_project(session, "other").id, "other")[1]
    async with _client(app, key) as made:
        yield made


@dataclass(frozen=True)
class Walked:
    """Ids of everything that one finished training leaves behind."""

    dataset_id: str
    analysis_id: str
    job_id: str
    model_id: str
    trajectory_id: str
    figure_id: str
    model_artifact_id: str


@pytest.fixture
def walked(database: Database, project_id: str) -> Walked:
    return walk(database, project_id)


def add_dataset(database: Database, project_id: str, dt: float = 0.1) -> str:
    steps = np.arange(200)
    series = Series(np.stack([np.sin(0.1 * steps), np.cos(0.13 * steps)], axis=1), dt=dt, names=("x", "y"))
    blobs = DatabaseBlobs()
    with database.write.begin() as session:
        content = blobs.put(session, [b"x,y\n1,2\n"])
        facts = datasets.Facts(
            format="csv",
            series_sha256=blobs.put(session, [series.to_npz()]).sha256,
            rows=series.length,
            channels=series.channels,
            names=list(series.names),
            dt=series.dt,
            missing_count=0,
            stretches=1,
        )
        options = {"format": "auto", "name": "waves.csv"}
        row = datasets.create(
            session, project_id=project_id, name="waves", content=content, options=options, facts=facts
        )
        return row.id


def add_job(database: Database, project_id: str, dataset_id: str, kind: Kind = Kind.train) -> str:
    with database.write.begin() as session:
        return jobs.create(session, project_id=project_id, kind=kind, dataset_id=dataset_id, max_attempts=3).id


def take(database: Database, job_id: str) -> jobs.Claim:
    with database.write.begin() as session:
        claim = jobs.claim(session, job_id, "tester", 60.0)
    assert claim is not None
    return claim


@dataclass(frozen=True)
class Left:
    """What a training leaves behind."""

    model: bytes = MODEL_BYTES
    config: dict[str, object] = field(default_factory=lambda: {"cell": "clipped_shplrnn"})
    trajectory: bytes = b"npz"
    plan: dict[str, object] = field(default_factory=lambda: {"cell": {"kind": "clipped_shplrnn"}})


def walk(database: Database, project_id: str, left: Left | None = None) -> Walked:
    left = left or Left()
    dataset_id = add_dataset(database, project_id)
    claim = take(database, add_job(database, project_id, dataset_id))
    blobs = DatabaseBlobs()
    own = {"project_id": project_id, "job_id": claim.job_id}
    with database.write.begin() as session:
        result = {"verdict": "chaotic", "tau": 7}
        analysis = analyses.create(session, dataset_id=dataset_id, result=result, **own)
        jobs.freeze_plan(session, claim, left.plan, "a" * 64, analysis.id)
        jobs.add_metrics(session, claim, [("loss", 1, 0.5, 1.7e9), ("loss", 2, float("nan"), 1.7e9), ("tau", 1, 2, 0)])
        model_file = artifacts.create(
            session,
            kind="model",
            name="model.safetensors",
            media_type="application/octet-stream",
            blob=blobs.put(session, [left.model]),
            **own,
        )
        figure = artifacts.create(
            session,
            kind="figure",
            name="attraktor für “x”.svg",
            media_type="image/svg+xml",
            blob=blobs.put(session, [FIGURE]),
            **own,
        )
        run = artifacts.create(
            session,
            kind="trajectory",
            name="trajectory.npz",
            media_type="application/x-npz",
            blob=blobs.put(session, [left.trajectory]),
            **own,
        )
        model = trained.create(
            session,
            artifact=model_file,
            dataset_id=dataset_id,
            name="waves",
            config=left.config,
            parameter_count=10,
            plan_hash="a" * 64,
        )
        trajectory = trajectories.create(session, artifact=run, model_id=model.id, steps=100, channels=2)
        scores = {"d_stsp": {"value": 0.1, "floor": 0.05, "reason": None, "detail": {"bins": 30}}}
        jobs.succeed(session, claim, model_id=model.id, scores=scores)
        return Walked(
            dataset_id=dataset_id,
            analysis_id=analysis.id,
            job_id=claim.job_id,
            model_id=model.id,
            trajectory_id=trajectory.id,
            figure_id=figure.id,
            model_artifact_id=model_file.id,
        )
