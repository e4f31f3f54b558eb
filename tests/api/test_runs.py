"""Free runs and forecasts over HTTP, against the core's own."""

import io
from typing import Any

import httpx
import numpy as np
import polars
import pytest

from api.running import LIMITS
from chaos_core.generation import generate, infer_latent
from chaos_store.engine import Database
from tests.api.living import STEPS, Living, a_fitted, lives
from tests.conformance.test_cells import small


@pytest.fixture
def living(database: Database, project_id: str) -> Living:
    return lives(database, project_id, a_fitted())


@pytest.fixture
def embedded(database: Database, project_id: str) -> Living:
    return lives(database, project_id, a_fitted(dim=2, dt=None))


@pytest.fixture
def driven(database: Database, project_id: str) -> Living:
    return lives(database, project_id, a_fitted(small("plrnn").model_copy(update={"inputs": 1})))


async def arrays(client: httpx.AsyncClient, made: dict[str, Any]) -> dict[str, np.ndarray]:
    answer = await client.get(made["links"]["content"])
    with np.load(io.BytesIO(answer.content)) as stored:
        return dict(stored)


async def test_a_run_from_the_stored_start_is_the_stored_one(client: httpx.AsyncClient, living: Living) -> None:
    made = await client.post(f"{living.path}/trajectories", json={"steps": STEPS})
    assert made.status_code == 201 and made.headers["location"] == made.json()["links"]["self"]
    facts = made.json()
    assert (facts["steps"], facts["channels"], facts["runs"]) == (STEPS, 2, 1)
    assert facts["options"] == {"steps": STEPS, "members": 1, "spread": 0.0, "seed": 0, "starts": 0}
    mine = await arrays(client, facts)
    stored = (await client.get(f"/v1/trajectories/{living.ids.trajectory_id}")).json()
    theirs = await arrays(client, stored)
    assert all(np.array_equal(mine[name], theirs[name]) for name in ("x", "z", "latent_start"))
    listed = (await client.get(f"{living.path}/trajectories")).json()["data"]
    assert [row["id"] for row in listed] == [facts["id"], stored["id"]]
    assert (await client.get(facts["links"]["self"])).json() == facts


async def test_the_same_run_may_be_asked_for_twice(client: httpx.AsyncClient, living: Living) -> None:
    first, second = [await client.post(f"{living.path}/trajectories", json={"steps": 5}) for _ in range(2)]
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] != second.json()["id"]
    assert np.array_equal((await arrays(client, first.json()))["x"], (await arrays(client, second.json()))["x"])


async def test_many_starts_with_members_are_one_trajectory(client: httpx.AsyncClient, living: Living) -> None:
    starts = [[[1.1, -19.0]], [[0.8, -21.0]]]
    body = {"steps": 30, "starts": starts, "members": 3, "spread": 0.05, "seed": 4}
    made = (await client.post(f"{living.path}/trajectories", json=body)).json()
    assert made["runs"] == 6
    run = await arrays(client, made)
    assert run["x"].shape == (6, 30, 2) and run["z"].shape == (6, 30, 4)
    around = infer_latent(living.fitted, starts[1][0])
    noise = np.random.default_rng(4).standard_normal((6, 4))
    np.testing.assert_allclose(run["latent_start"][3:], around + 0.05 * noise[3:])
    same = await arrays(client, (await client.post(f"{living.path}/trajectories", json=body)).json())
    other = await arrays(client, (await client.post(f"{living.path}/trajectories", json={**body, "seed": 5})).json())
    assert np.array_equal(same["x"], run["x"]) and not np.array_equal(other["x"], run["x"])
    table = polars.read_csv((await client.get(f"{made['links']['content']}?format=csv")).content)
    assert table.columns == ["run", "time", "x", "y"] and table.height == 180
    assert np.array_equal(table.filter(polars.col("run") == 5).select("x", "y").to_numpy(), run["x"][5])


async def test_an_own_start_gives_the_cores_run(client: httpx.AsyncClient, living: Living) -> None:
    body = {"steps": 40, "starts": [[[9.0, 9.0], [1.1, -19.0]]]}
    run = await arrays(client, (await client.post(f"{living.path}/trajectories", json=body)).json())
    np.testing.assert_allclose(run["x"], generate(living.fitted, 40, [1.1, -19.0]), rtol=1e-12)


async def test_a_forecast_goes_on_from_the_window_with_times(client: httpx.AsyncClient, living: Living) -> None:
    context = [[1.0, -20.0], [1.1, -19.0]]
    answer = await client.post(f"{living.path}/forecast", json={"context": context, "horizon": 7, "time": 2.0})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["names"], told["dt"], told["rows_used"]) == (["x", "y"], 0.1, 1)
    np.testing.assert_allclose(told["times"], 2.0 + 0.1 * np.arange(1, 8))
    np.testing.assert_allclose(told["rows"], generate(living.fitted, 7, context[-1]), rtol=1e-12)


async def test_a_delay_embedded_model_wants_its_window(client: httpx.AsyncClient, embedded: Living) -> None:
    context = [[1.0, -20.0], [1.1, -19.0], [1.2, -18.5]]
    told = (await client.post(f"{embedded.path}/forecast", json={"context": context, "horizon": 4})).json()
    assert (told["rows_used"], told["dt"], told["times"]) == (3, None, [1, 2, 3, 4])
    np.testing.assert_allclose(told["rows"], generate(embedded.fitted, 4, context), rtol=1e-12)
    short = await client.post(f"{embedded.path}/forecast", json={"context": context[:2], "horizon": 4})
    assert (short.status_code, short.json()["code"], short.json()["rows_needed"]) == (422, "too_short", 3)
    short = await client.post(f"{embedded.path}/trajectories", json={"steps": 4, "starts": [context, context[:1]]})
    assert (short.json()["code"], short.json()["start"]) == ("too_short", 1)


async def test_a_driven_model_runs_under_its_inputs(client: httpx.AsyncClient, driven: Living) -> None:
    inputs = [[float(value)] for value in np.sin(np.arange(6))]
    body = {"context": [[1.1, -19.0]], "horizon": 6, "inputs": inputs}
    told = (await client.post(f"{driven.path}/forecast", json=body)).json()
    np.testing.assert_allclose(told["rows"], generate(driven.fitted, 6, [1.1, -19.0], inputs), rtol=1e-12)
    made = await client.post(
        f"{driven.path}/trajectories", json={"steps": 6, "members": 2, "spread": 0.1, "inputs": inputs}
    )
    assert (await arrays(client, made.json()))["x"].shape == (2, 6, 2)
    for wrong in (None, inputs[:3]):
        answer = await client.post(f"{driven.path}/forecast", json=body | {"inputs": wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "inconsistent_spec")


async def test_inputs_for_a_model_that_has_none_are_refused(client: httpx.AsyncClient, living: Living) -> None:
    body = {"context": [[1.1, -19.0]], "horizon": 1, "inputs": [[1.0]]}
    answer = await client.post(f"{living.path}/forecast", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "inconsistent_spec")


REFUSED = [
    ([], "empty_data", {}),
    ([[1.0, 2.0], [1.0]], "ragged_row", {"row": 1}),
    ([[1.0, 2.0], [1.0, None]], "not_finite", {"row": 1, "column": "y"}),
]


@pytest.mark.parametrize(("context", "code", "fields"), REFUSED)
async def test_a_bad_window_is_told_by_row_and_column(
    client: httpx.AsyncClient, living: Living, context: list[Any], code: str, fields: dict[str, Any]
) -> None:
    forecast = await client.post(f"{living.path}/forecast", json={"context": context, "horizon": 3})
    run = await client.post(f"{living.path}/trajectories", json={"starts": [context], "steps": 3})
    for answer, more in ((forecast, {}), (run, {"start": 0})):
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert {name: answer.json()[name] for name in fields | more} == fields | more


async def test_a_word_in_the_window_is_told_by_its_place(client: httpx.AsyncClient, living: Living) -> None:
    body = {"context": [[1.0, 2.0], [1.0, "high"]], "horizon": 3}
    answer = (await client.post(f"{living.path}/forecast", json=body)).json()
    assert (answer["code"], answer["errors"][0]["loc"]) == ("invalid_request", ["body", "context", 1, 1])


async def test_what_would_take_too_long_is_refused(client: httpx.AsyncClient, living: Living) -> None:
    limits = (await client.get("/v1/limits")).json()
    assert {name: limits[name] for name in LIMITS} == LIMITS
    many = {"members": 1000, "spread": 1.0, "steps": 1000}
    for path, body in (
        ("trajectories", {"steps": LIMITS["max_run_steps"] + 1}),
        ("trajectories", many),
        ("forecast", {"context": [[1.0, 2.0]], "horizon": LIMITS["max_forecast_steps"] + 1}),
    ):
        answer = await client.post(f"{living.path}/{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "data_too_large")
        assert answer.json()["value"] > answer.json()["limit"]


async def test_members_that_would_all_be_the_same_are_refused(client: httpx.AsyncClient, living: Living) -> None:
    answer = await client.post(f"{living.path}/trajectories", json={"steps": 3, "members": 2})
    assert (answer.status_code, answer.json()["code"]) == (422, "inconsistent_spec")


async def test_a_forecast_that_leaves_all_bounds_says_null(
    client: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    fitted = a_fitted(small("plrnn"))
    fitted.params["A"][:] = 1e30  # type: ignore[index]
    living = lives(database, project_id, fitted)
    told = (await client.post(f"{living.path}/forecast", json={"context": [[1.1, -19.0]], "horizon": 50})).json()
    assert told["rows"][-1] == [None, None]


async def test_asked_for_runs_go_with_their_model(client: httpx.AsyncClient, living: Living) -> None:
    made = (await client.post(f"{living.path}/trajectories", json={"steps": 3})).json()
    assert (await client.delete(living.path)).status_code == 204
    assert (await client.get(made["links"]["self"])).status_code == 404
    assert (await client.get(f"/v1/artifacts/{made['artifact_id']}")).status_code == 404
