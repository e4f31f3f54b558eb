"""A dry run says what the job would be, and leaves no trace."""

from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from chaos_core.analysed import Analysis
from chaos_core.analysis import analyse
from chaos_core.planning import plan
from chaos_core.spec import Plan, Spec
from chaos_core.systems import lorenz63
from chaos_store import analyses, artifacts, jobs, trained
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import AnalysisRow, Dataset, Job, JobEvent
from tests.api.conftest import add_dataset, add_job, client_of, take

SPEC = {"cell": {"kind": "clipped_shplrnn", "hidden": 30}, "training": {"updates": 1000}}


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    return analyse(lorenz63(1500, dt=0.05, seed=0)).model_dump(mode="json")


@pytest.fixture
def dataset_id(database: Database, project_id: str) -> str:
    return add_dataset(database, project_id)


@pytest.fixture
def analysis_id(database: Database, project_id: str, dataset_id: str, facts: dict[str, Any]) -> str:
    maker = add_job(database, project_id, dataset_id)
    with database.write.begin() as session:
        return analyses.create(session, project_id=project_id, dataset_id=dataset_id, job_id=maker, result=facts).id


async def test_the_split_of_the_dataset_is_the_plans(
    client: httpx.AsyncClient, database: Database, dataset_id: str, analysis_id: str
) -> None:
    mine, other = [{"train": share, "validation": 0.1, "test": 0.9 - share} for share in (0.6, 0.7)]
    with database.write.begin() as session:
        session.execute(update(Dataset).values(split=mine))
    for spec, expected in ((SPEC, mine), (SPEC | {"split": other}, other)):
        body = {"dataset_id": dataset_id, "analysis_id": analysis_id, "spec": spec}
        found = (await client.post("/v1/jobs:validate", json=body)).json()
        assert found["plan"]["split"] == pytest.approx(expected)


def counted(database: Database) -> list[int]:
    with database.read() as session:
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in (Job, JobEvent, AnalysisRow)]


def finished(database: Database, project_id: str, dataset_id: str, made: Plan, seconds: float) -> None:
    """A training of that plan that was done, and took so long from its first update."""
    claim = take(database, add_job(database, project_id, dataset_id))
    with database.write.begin() as session:
        jobs.freeze_plan(session, claim, made.model_dump(mode="json"), made.digest())
        jobs.progress(session, claim, first_step=True, kernel="native", device="cpu")
        file = artifacts.create(
            session, project_id=project_id, job_id=claim.job_id, kind="model", name="m", media_type="x/y",
            blob=DatabaseBlobs().put(session, [b"m"]),
        )  # fmt: skip
        count = sum(param.size for param in made.cell.parameters().values())
        model = trained.create(
            session, artifact=file, dataset_id=dataset_id, name="m", config={}, parameter_count=count, plan_hash=None
        )
        jobs.succeed(session, claim, model_id=model.id)
        times = {"started_at": 1000.0, "first_step_at": 1002.0, "finished_at": 1002.0 + seconds}
        session.execute(update(Job).where(Job.id == claim.job_id).values(times))


async def test_the_plan_is_the_one_that_the_runner_would_make_and_nothing_is_written(
    client: httpx.AsyncClient, database: Database, dataset_id: str, analysis_id: str, facts: dict[str, Any]
) -> None:
    before = counted(database)
    answer = await client.post("/v1/jobs:validate", json={"dataset_id": dataset_id, "spec": SPEC})
    found = answer.json()
    assert (answer.status_code, found["object"], found["analysis_id"]) == (200, "validation", analysis_id)
    expected = plan(Spec.model_validate(SPEC), Analysis.model_validate(facts))
    assert (found["plan"], found["plan_hash"]) == (expected.model_dump(mode="json"), expected.digest())
    assert found["parameter_count"] == sum(param.size for param in expected.cell.parameters().values())
    assert 100e6 < found["memory_bytes"] < 1e9
    assert (found["seconds"]["source"], found["seconds"]["jobs"], found["warnings"]) == ("trial", 0, [])
    assert counted(database) == before


async def test_seconds_come_from_the_nearest_finished_jobs_of_the_same_kind(
    client: httpx.AsyncClient, database: Database, project_id: str, dataset_id: str, analysis_id: str,
    facts: dict[str, Any],
) -> None:  # fmt: skip
    known = Analysis.model_validate(facts)
    made = plan(Spec.model_validate(SPEC), known)
    for seconds in (9.0, 10.0, 14.0):
        finished(database, project_id, dataset_id, made, seconds)
    other = plan(Spec.model_validate({"cell": {"kind": "plrnn"}, "training": {"updates": 1000}}), known)
    finished(database, project_id, dataset_id, other, 500.0)
    for updates, middle in ((1000, 12.0), (4000, 42.0)):
        spec = SPEC | {"training": {"updates": updates}}
        found = (await client.post("/v1/jobs:validate", json={"dataset_id": dataset_id, "spec": spec})).json()[
            "seconds"
        ]
        assert (found["source"], found["jobs"]) == ("history", 3)
        assert found["value"] == pytest.approx(middle)
        assert found["low"] < found["value"] < found["high"]
        assert "native on cpu" in found["how"]


async def test_a_series_that_was_not_analysed_is_refused_with_the_way_out(
    client: httpx.AsyncClient, dataset_id: str
) -> None:
    answer = await client.post("/v1/jobs:validate", json={"dataset_id": dataset_id})
    assert (answer.status_code, answer.json()["code"]) == (409, "analysis_missing")
    assert "POST /v1/analyses" in answer.json()["remedy"]


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"cell": {"kind": "nonsense"}}, "unknown_kind"),
        ({"training": {"sequence_length": 9000}}, "too_short"),
        ({"training": {"updates": 10, "budget_s": 3}}, "inconsistent_spec"),
        ({"cell": {"kind": "rnn", "latent": 3000}}, "spec_too_large"),
    ],
)
async def test_what_cannot_be_planned_is_refused_with_its_own_code(
    client: httpx.AsyncClient, dataset_id: str, analysis_id: str, spec: dict[str, Any], code: str
) -> None:
    answer = await client.post("/v1/jobs:validate", json={"dataset_id": dataset_id, "spec": spec})
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_limits_that_will_be_crossed_are_warned_of(
    service_settings: Settings, api_key: str, dataset_id: str, analysis_id: str
) -> None:
    body = {"dataset_id": dataset_id, "spec": SPEC, "limits": {"wall_s": 0.01, "memory_bytes": 1000}}
    async with client_of(service_settings, api_key) as client:
        warnings = (await client.post("/v1/jobs:validate", json=body)).json()["warnings"]
    assert len(warnings) == 2 and "0.01 s" in warnings[0] and "1000" in warnings[1]


async def test_a_stranger_validates_nothing_of_mine(
    stranger: httpx.AsyncClient, dataset_id: str, analysis_id: str
) -> None:
    for body in ({"dataset_id": dataset_id}, {"dataset_id": dataset_id, "analysis_id": analysis_id}):
        answer = await stranger.post("/v1/jobs:validate", json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
