import io

import httpx
import numpy as np
import polars as pl
import pytest

from chaos_store import jobs
from chaos_store.engine import Database
from tests.api.conftest import Walked, add_dataset, add_job, take

STEPS = 5000


@pytest.fixture
def path(database: Database, project_id: str) -> str:
    """Metrics of a long run: a falling loss with one peak, one gap, and a second series."""
    claim = take(database, add_job(database, project_id, add_dataset(database, project_id)))
    loss = 1 / np.arange(1, STEPS + 1)
    loss[[777, 3210]] = 9.5, np.nan
    rows = [("loss", step, value, 1.7e9 + step) for step, value in enumerate(loss.tolist())]
    with database.write.begin() as session:
        jobs.add_metrics(session, claim, [*rows, *(("tau", step, float(step), 0.0) for step in range(10))])
    return f"/v1/jobs/{claim.job_id}/metrics"


async def test_a_long_series_is_thinned_to_its_ends_and_extremes(client: httpx.AsyncClient, path: str) -> None:
    whole = (await client.get(path)).json()["metrics"]
    assert (len(whole["loss"]["step"]), whole["loss"]["value"][3210]) == (STEPS, None)
    answers = [(await client.get(path, params={"max_points": 100})).json()["metrics"] for _ in range(2)]
    assert answers[0] == answers[1] and answers[0]["tau"] == whole["tau"]
    few = answers[0]["loss"]
    assert len(few["step"]) <= 100
    assert (few["step"][0], few["step"][-1], max(few["value"])) == (0, STEPS - 1, 9.5)
    assert [whole["loss"]["value"][step] for step in few["step"]] == few["value"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
async def test_tables_hold_the_same_numbers(client: httpx.AsyncClient, path: str, form: str) -> None:
    answer = await client.get(path, params={"format": form, "max_points": 200, "names": "loss,tau"})
    read = {"csv": pl.read_csv, "parquet": pl.read_parquet}[form]
    table = read(io.BytesIO(answer.content))
    assert table.columns == ["name", "step", "value", "wall"]
    whole = (await client.get(path, params={"max_points": 200})).json()["metrics"]
    for name, series in whole.items():
        own = table.filter(pl.col("name") == name)
        assert {column: own[column].to_list() for column in ("step", "value", "wall")} == series
    assert answer.headers["content-type"].startswith({"csv": "text/csv", "parquet": "application/vnd.apache"}[form])
    assert answer.headers["content-disposition"].endswith(f'-metrics.{form}"')


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
async def test_a_run_without_numbers_is_an_empty_table(client: httpx.AsyncClient, walked: Walked, form: str) -> None:
    answer = await client.get(f"/v1/jobs/{walked.job_id}/metrics", params={"format": form, "names": "nothing"})
    assert answer.status_code == 200
    if form == "json":
        assert answer.json()["metrics"] == {}
    else:
        read = {"csv": pl.read_csv, "parquet": pl.read_parquet}[form]
        assert read(io.BytesIO(answer.content)).shape == (0, 4)


@pytest.mark.parametrize("params", [{"max_points": 3}, {"format": "xlsx"}, {"after_step": 2**63}])
async def test_what_cannot_be_given_is_refused(client: httpx.AsyncClient, path: str, params: dict[str, str]) -> None:
    answer = await client.get(path, params=params)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
