"""Known systems: what the service says of them, and datasets made from them."""

import asyncio
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import func, select

from api.routes.systems import MAX_NUMBERS, MAX_WORK
from chaos_core import Series
from chaos_core.systems import SYSTEMS, lorenz63, record, system
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import Blob, Dataset
from tests.api.conftest import client_of

ONE_DATABASE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For what does not depend on the kind of database."""

LORENZ = "/v1/systems/lorenz63/datasets"


def stored(database: Database, sha256: str) -> Series:
    with database.read() as session:
        return Series.from_npz(b"".join(DatabaseBlobs().read(session, sha256)))


@ONE_DATABASE
async def test_the_list_is_the_registry_and_needs_no_key(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    listed = (await client.get("/v1/systems")).json()
    assert (listed["max_numbers"], listed["max_work"]) == (MAX_NUMBERS, MAX_WORK)
    assert {one["kind"]: (one["nature"], one["lambda_max"]) for one in listed["data"]} == {
        kind: (settings.nature, settings.lambda_max) for kind, settings in SYSTEMS.items()
    }
    for one in listed["data"]:
        assert one["equation"] and one["citation"] and one["lambda_source"] and one["channels"] and one["dt"] > 0
        assert one["settings_schema"]["properties"]["kind"]["const"] == one["kind"]
        assert (await client.get(f"/v1/systems/{one['kind']}")).json() == one
    absent = await client.get("/v1/systems/lorentz")
    assert (absent.status_code, absent.json()["code"]) == (404, "not_found")


async def test_a_generated_dataset_is_one_like_an_upload(client: httpx.AsyncClient, database: Database) -> None:
    body = {"settings": {"rho": 38}, "steps": 400, "name": "a wilder Lorenz"}
    answer = await client.post(LORENZ, json=body)
    made = answer.json()
    assert answer.status_code == 201, made
    assert (made["status"], made["name"], made["format"], made["dt"]) == ("ready", "a wilder Lorenz", "csv", 0.01)
    assert (made["rows"], made["channels"], made["names"]) == (400, 3, ["x", "y", "z"])
    assert (await client.get(answer.headers["location"])).json() == made
    np.testing.assert_array_equal(stored(database, made["series_sha256"]).x, lorenz63(400, rho=38).x)
    content = (await client.get(made["links"]["content"])).content
    assert len(content) == made["size_bytes"]
    files = {"file": ("lorenz.csv", content)}
    uploaded = (await client.post("/v1/datasets", files=files, data={"dt": "0.01"})).json()
    same = ("content_sha256", "series_sha256", "rows", "channels", "names", "dt", "missing_count", "stretches")
    assert {name: uploaded[name] for name in same} == {name: made[name] for name in same}
    queued = await client.post("/v1/jobs", json={"dataset_id": made["id"]})
    assert queued.status_code == 202


@ONE_DATABASE
async def test_a_dataset_knows_what_it_was_made_from(client: httpx.AsyncClient, database: Database) -> None:
    body = {
        "settings": {"of": {"kind": "duffing", "gamma": 0.45}, "channel": "v"},
        "steps": 300,
        "noise": 0.05,
        "noise_seed": 7,
        "channels": ["v"],
    }
    made = (await client.post("/v1/systems/surrogate/datasets", json=body)).json()
    origin = made["options"]["generated"]
    assert origin["system"]["of"] == system("duffing", gamma=0.45).model_dump()
    again = record(
        system(**origin["system"]),
        origin["steps"],
        noise=origin["noise"],
        noise_seed=origin["noise_seed"],
        channels=origin["channels"],
    )
    assert stored(database, made["series_sha256"]).digest() == again.digest()
    assert made["name"] == "surrogate"


@ONE_DATABASE
async def test_a_known_force_is_stored_as_the_external_input(client: httpx.AsyncClient, database: Database) -> None:
    body = {"settings": {"force_known": True}, "steps": 100}
    made = (await client.post("/v1/systems/duffing/datasets", json=body)).json()
    assert (made["names"], made["input_names"], made["options"]["inputs"]) == (["x", "v"], ["force"], ["force"])
    series = stored(database, made["series_sha256"])
    assert series.input_names == ("force",)
    np.testing.assert_array_equal(series.inputs, system("duffing").drive(100))


@ONE_DATABASE
@pytest.mark.parametrize("kind", SYSTEMS)
async def test_every_system_becomes_a_dataset(client: httpx.AsyncClient, kind: str) -> None:
    made = (await client.post(f"/v1/systems/{kind}/datasets", json={"steps": 64})).json()
    assert (made["status"], made["rows"], made["names"]) == ("ready", 64, list(system(kind).names))


BAD: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("lorentz", {}, 404, "not_found", "no system lorentz"),
    ("lorenz63", {"settings": {"dt": -1}}, 422, "invalid_request", "body.settings.dt"),
    ("lorenz63", {"settings": {"sigm": 1}}, 422, "invalid_request", "body.settings.sigm: there is no such"),
    ("lorenz63", {"settings": {"kind": "henon"}}, 422, "invalid_request", "body.settings.kind"),
    ("lorenz63", {"settings": 7}, 422, "invalid_request", "body.settings"),
    ("lorenz63", {"system": {"kind": "lorenz63"}}, 422, "invalid_request", "body.system: there is no such"),
    ("surrogate", {"settings": {"of": {"kind": "lorentz"}}}, 422, "invalid_request", "there is no kind 'lorentz'"),
    ("lorenz63", {"steps": 31}, 422, "invalid_request", "body.steps"),
    ("lorenz63", {"noise": -1}, 422, "invalid_request", "body.noise"),
    ("lorenz63", {"channels": ["w"]}, 422, "unknown_column", "no channel 'w'"),
    ("lorenz63", {"channels": ["x", "x"]}, 422, "bad_shape", "distinct"),
    ("lorenz63", {"steps": 10**9}, 422, "data_too_large", "at most 666666 steps"),
    ("lorenz63", {"settings": {"transient": 1e9}}, 422, "data_too_large", "more than 10000000 evaluations"),
    ("henon", {"settings": {"a": 2.0}}, 422, "inconsistent_spec", "runs to infinity"),
    ("logistic", {"settings": {"r": 2.5}}, 422, "constant_channel", "0.6"),
]


@ONE_DATABASE
@pytest.mark.parametrize(
    ("kind", "body", "status", "code", "words"), BAD, ids=[f"{i}-{b[3]}" for i, b in enumerate(BAD)]
)
async def test_what_cannot_be_generated_has_a_code_and_nothing_is_stored(
    client: httpx.AsyncClient, database: Database, kind: str, body: dict[str, Any], status: int, code: str, words: str
) -> None:
    answer = await client.post(f"/v1/systems/{kind}/datasets", json={"steps": 100} | body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert words in problem["detail"] and problem["remedy"]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Dataset)) == 0
        assert session.scalar(select(func.count()).select_from(Blob)) == 0


@ONE_DATABASE
async def test_the_services_own_limits_hold(service_settings: Settings, api_key: str) -> None:
    for limit, code in (({"max_rows": 99}, "data_too_large"), ({"max_blob_bytes": 1000}, "storage_full")):
        async with client_of(service_settings.model_copy(update=limit), api_key) as client:
            answer = await client.post(LORENZ, json={"steps": 100})
        assert answer.json()["code"] == code


@ONE_DATABASE
async def test_strangers_neither_generate_nor_see(client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    made = (await client.post(LORENZ, json={"steps": 100})).json()
    assert (await stranger.get(f"/v1/datasets/{made['id']}")).status_code == 404
    del stranger.headers["Authorization"]
    assert (await stranger.post(LORENZ, json={"steps": 100})).status_code == 401
    form = await client.post(LORENZ, data={"steps": "100"})
    assert (form.status_code, form.json()["code"]) == (415, "unsupported_media_type")


@ONE_DATABASE
async def test_generating_does_not_hold_up_other_requests(client: httpx.AsyncClient) -> None:
    body = {"settings": {"transient": 300.0}, "steps": 5000}
    made = [asyncio.create_task(client.post(LORENZ, json=body)) for _ in range(2)]
    await asyncio.sleep(0.05)
    assert (await client.get("/livez")).status_code == 200
    assert not any(task.done() for task in made)
    assert {answer.status_code for answer in await asyncio.gather(*made)} == {201}
