from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from api import problems
from chaos_core.errors import ChaosError
from chaos_store.settings import Settings
from tests.api.conftest import client_of


@pytest.fixture
def settings(sqlite_settings: Settings) -> Settings:
    """Nothing here depends on the kind of database."""
    return sqlite_settings


def _tree(root: type[ChaosError]) -> Iterator[type[ChaosError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def test_every_error_class_of_api_store_and_core_has_a_row_of_its_own() -> None:
    known = [
        kind for kind in _tree(ChaosError) if kind.__module__.split(".")[0] in {"api", "chaos_store", "chaos_core"}
    ]
    assert [kind.__name__ for kind in known if kind not in problems.STATUS] == []


def test_a_new_error_class_has_the_status_of_its_parent() -> None:
    class Odd(problems.core.NotFinite):
        code = "odd"

    assert problems.status_of(Odd) == 422


async def test_every_code_is_listed_with_its_status_and_remedy(client: httpx.AsyncClient) -> None:
    rows = (await client.get("/v1/problems")).json()["data"]
    assert {row["code"]: row["status"] for row in rows}["not_finite"] == 422
    assert all(row["remedy"].endswith(".") and row["title"] for row in rows)
    one = (await client.get("/v1/problems/not_finite")).json()
    assert one in rows


async def test_a_problem_says_where_when_and_what_to_do(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/jobs/job_nothing", headers={"X-Request-Id": "mine-1"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "mine-1"
    problem = answer.json()
    assert (problem["status"], problem["code"], problem["type"]) == (404, "not_found", "/v1/problems/not_found")
    assert (problem["instance"], problem["request_id"]) == ("/v1/jobs/job_nothing", "mine-1")
    assert problem["remedy"] and problem["title"] and "job_nothing" in problem["detail"]


async def test_a_request_id_is_made_where_none_or_a_dangerous_one_is_given(client: httpx.AsyncClient) -> None:
    for given in ({}, {"X-Request-Id": "a b\tc"}, {"X-Request-Id": "x" * 65}):
        assert (await client.get("/livez", headers=given)).headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v2/jobs", 404, "route_not_found"),
        ("GET", "/v1/jobs/a%00b", 404, "not_found"),
        ("GET", "/v1/datasets/%00/content", 404, "not_found"),
        ("POST", "/v1/jobs/%00/cancel", 404, "not_found"),
        ("DELETE", "/v1/jobs", 405, "method_not_allowed"),
        ("POST", "/v1/models", 405, "method_not_allowed"),
        ("POST", "/docs", 405, "method_not_allowed"),
    ],
)
async def test_what_is_not_there_is_a_problem_too(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert status != 405 or answer.headers["allow"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/jobs", "GET, POST"),
        ("/v1/jobs/job_x", "DELETE, GET, PATCH"),
        ("/v1/jobs/job_x/retry", "POST"),
        ("/v1/models/m/content", "GET, HEAD"),
    ],
)
async def test_the_allow_header_names_every_method_of_the_path(
    client: httpx.AsyncClient, path: str, methods: str
) -> None:
    assert (await client.put(path)).headers["allow"] == methods


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_json"),
        (b"\xff", "application/json", 400, "invalid_json"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"{}", "application/json", 422, "invalid_request"),
        (b"[]", "application/json", 422, "invalid_request"),
        (b"[" * 100_000, "application/json", 400, "invalid_json"),
        (b'"' + b"x" * 1_100_000 + b'"', "application/json", 413, "body_too_large"),
    ],
)
async def test_a_bad_body_is_refused_with_its_own_code(
    client: httpx.AsyncClient, body: bytes, kind: str, status: int, code: str
) -> None:
    answer = await client.post("/v1/jobs", content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(client: httpx.AsyncClient) -> None:
    async def endless() -> object:
        while True:
            yield b" " * 65536

    answer = await client.post("/v1/jobs", content=endless(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic abc"}])
async def test_no_key_or_a_wrong_one_is_unauthorized(app: FastAPI, header: dict[str, str]) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chaos") as nobody:
        answer = await nobody.get("/v1/jobs", headers=header)
        upload = await nobody.post("/v1/datasets", headers=header, files={"file": ("a.csv", b"x\n1\n")})
    assert (answer.status_code, answer.json()["code"], upload.status_code) == (401, "unauthorized", 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("url", ["postgresql://nobody:x@127.0.0.1:1/none", "sqlite:///{folder}"])
async def test_a_database_that_is_away_is_503_with_retry_after(tmp_path: Path, url: str) -> None:
    async with client_of(Settings(database_url=url.format(folder=tmp_path))) as client:
        answer = await client.get("/v1/jobs")
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_mistake_of_ours_is_a_problem_with_the_request_id(app: FastAPI, api_key: str) -> None:
    async def broken() -> None:
        raise RuntimeError("secret words")

    app.add_api_route("/broken", broken)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://chaos") as client:
        answer = await client.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
