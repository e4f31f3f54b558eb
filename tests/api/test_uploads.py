"""Real files through the real reader process."""

import asyncio
import hashlib
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import func, select

from api.parsing import run_reader
from chaos_core import Series
from chaos_core.errors import ParserLimit
from chaos_core.readers.outcome import outcome
from chaos_store import datasets
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import Blob, Dataset, Job
from tests.api.conftest import client_of

ONE_DATABASE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For what does not depend on the kind of database."""

T = np.arange(64)
WAVES = np.stack([np.sin(0.3 * T), np.cos(0.17 * T)], axis=1)


def csv(x: np.ndarray[Any, Any] = WAVES, header: str = "a,b") -> bytes:
    rows = [",".join(f"{value:.9g}" for value in row) for row in x]
    return "\n".join([header, *rows, ""]).encode()


def npy(x: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, x, **options)
    return buffer.getvalue()


def changed(line: int, text: str) -> bytes:
    lines = csv().decode().splitlines()
    lines[line] = text
    return "\n".join(lines).encode()


async def send(client: httpx.AsyncClient, content: bytes, filename: str = "waves.csv", **fields: Any) -> httpx.Response:
    return await client.post("/v1/datasets", files={"file": (filename, content)}, data=fields)


async def test_a_csv_becomes_a_ready_dataset(client: httpx.AsyncClient, database: Database, project_id: str) -> None:
    answer = await send(client, csv(), dt="0.3")
    made = answer.json()
    assert (answer.status_code, made["status"], made["name"], made["format"]) == (201, "ready", "waves.csv", "csv")
    assert (made["rows"], made["channels"], made["names"], made["dt"]) == (64, 2, ["a", "b"], 0.3)
    assert (made["missing_count"], made["stretches"], made["size_bytes"]) == (0, 1, len(csv()))
    assert made["content_sha256"] == hashlib.sha256(csv()).hexdigest()
    assert (await client.get(answer.headers["location"])).json() == made
    assert (await client.get(made["links"]["content"])).content == csv()
    with database.read() as session:
        stored = b"".join(DatabaseBlobs().read(session, made["series_sha256"]))
    series = Series.from_npz(stored)
    np.testing.assert_allclose(series.x, WAVES, atol=1e-8)
    assert (series.dt, series.names) == (0.3, ("a", "b"))


async def test_an_npy_becomes_a_ready_dataset(client: httpx.AsyncClient) -> None:
    made = (await send(client, npy(WAVES), "waves.npy", name="my waves")).json()
    assert (made["format"], made["name"], made["dt"]) == ("npy", "my waves", None)
    assert (made["rows"], made["channels"]) == (64, 2)


@ONE_DATABASE
async def test_the_time_column_gives_the_step_and_columns_choose_channels(client: httpx.AsyncClient) -> None:
    content = csv(np.column_stack([0.5 * T, WAVES]), "clock,a,b")
    made = (await send(client, content, time_column="clock", columns="b, a")).json()
    assert (made["dt"], made["names"]) == (0.5, ["b", "a"])


async def test_missing_values_are_kept_as_gaps_only_if_asked(client: httpx.AsyncClient) -> None:
    made = (await send(client, changed(9, ",0.5"), missing="mask")).json()
    assert (made["status"], made["missing_count"]) == ("ready", 1)


async def test_the_same_bytes_are_stored_once(client: httpx.AsyncClient, database: Database) -> None:
    first, second = (await send(client, csv())).json(), (await send(client, csv())).json()
    assert first["id"] != second["id"]
    assert (first["content_sha256"], first["series_sha256"]) == (second["content_sha256"], second["series_sha256"])
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Blob)) == 2


BAD = [
    (csv(np.column_stack([WAVES[:, 0], np.full(64, 3.0)])), "a.csv", 422, "constant_channel", {"column": "b"}),
    (changed(10, "hello,0.5"), "a.csv", 422, "column_not_numeric", {"row": 9, "column": "a"}),
    (changed(10, "0.1,nan"), "a.csv", 422, "not_finite", {"row": 9, "column": "b"}),
    (changed(10, "0.1,"), "a.csv", 422, "not_finite", {"row": 9, "column": "b"}),
    (changed(10, "0.1,2,3"), "a.csv", 422, "ragged_row", {"row": 9, "line": 11}),
    (npy(np.where(T[:, None] == 5, np.inf, WAVES)), "a.npy", 422, "not_finite", {"row": 5, "column": "x0"}),
    (b"", "a.csv", 422, "empty_data", {}),
    (b"a,b\n", "a.csv", 422, "empty_data", {}),
    (csv(WAVES[:3]), "a.csv", 422, "too_short", {"rows": 3}),
    (npy(WAVES[:3]), "a.npy", 422, "too_short", {"rows": 3}),
    (npy(np.array([{"a": 1}] * 50, dtype=object), allow_pickle=True), "a.npy", 422, "pickle_refused", {}),
    (npy(np.zeros((4, 4, 4))), "a.npy", 422, "bad_shape", {"shape": [4, 4, 4]}),
    (npy(WAVES)[:300], "a.npy", 422, "unreadable_file", {}),
    (b"\x89PNG\r\n\x1a\n" + bytes(100), "a.png", 415, "unknown_format", {}),
]


@ONE_DATABASE
@pytest.mark.parametrize(("content", "name", "status", "code", "fields"), BAD, ids=[f"{b[3]}-{b[1]}" for b in BAD])
async def test_bad_data_have_a_code_and_a_place_and_nothing_is_stored(
    client: httpx.AsyncClient,
    database: Database,
    content: bytes,
    name: str,
    status: int,
    code: str,
    fields: dict[str, Any],
) -> None:
    answer = await send(client, content, name)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert {key: problem[key] for key in fields} == fields
    assert problem["detail"] and problem["remedy"]
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Dataset)) == 0
        assert session.scalar(select(func.count()).select_from(Blob)) == 0


@ONE_DATABASE
async def test_an_unknown_column_lists_the_known_ones(client: httpx.AsyncClient) -> None:
    problem = (await send(client, csv(), columns="a,c")).json()
    assert (problem["code"], problem["column"], problem["known"]) == ("unknown_column", "c", ["a", "b"])


@ONE_DATABASE
async def test_an_uneven_time_column_is_refused(client: httpx.AsyncClient) -> None:
    content = csv(np.column_stack([T + 3.0 * (T > 20), WAVES]), "t,a,b")
    problem = (await send(client, content, time_column="t")).json()
    assert (problem["code"], problem["row"], problem["column"]) == ("irregular_time", 21, "t")


@ONE_DATABASE
@pytest.mark.parametrize(
    ("fields", "loc"),
    [
        ({"dt": "-1"}, "dt"),
        ({"dt": "nan"}, "dt"),
        ({"dt": "soon"}, "dt"),
        ({"missing": "maybe"}, "missing"),
        ({"delimiter": ";"}, "delimiter"),
        ({"name": "a\x00b"}, "name"),
    ],
)
async def test_a_bad_form_field_is_named(client: httpx.AsyncClient, fields: dict[str, str], loc: str) -> None:
    answer = await send(client, csv(), **fields)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert [error["loc"] for error in answer.json()["errors"]] == [["body", loc]]


@ONE_DATABASE
async def test_a_form_without_a_file_says_so(client: httpx.AsyncClient) -> None:
    for data, files in (({"file": "a,b"}, {"dt": (None, "1")}), ({}, {"dt": (None, "1")})):
        answer = await client.post("/v1/datasets", data=data, files=files)
        assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", "file"])


@ONE_DATABASE
async def test_other_content_types_and_broken_forms_are_refused(client: httpx.AsyncClient) -> None:
    raw = await client.post("/v1/datasets", content=csv(), headers={"Content-Type": "text/csv"})
    assert (raw.status_code, raw.json()["code"]) == (415, "unsupported_media_type")
    assert raw.json()["expected"] == "multipart/form-data"
    for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
        broken = await client.post("/v1/datasets", content=b"--y\r\nhello", headers={"Content-Type": kind})
        assert broken.status_code in (400, 422) and broken.json()["code"] in ("invalid_form", "invalid_request")


@pytest.fixture
async def small(service_settings: Settings, api_key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A service that parses up to 1000 bytes at once and takes up to 100 000."""
    limits = {"inline_upload_bytes": 1000, "max_upload_bytes": 100_000}
    async with client_of(service_settings.model_copy(update=limits), api_key) as client:
        yield client


async def test_a_big_upload_becomes_a_job_that_reads_it(
    small: httpx.AsyncClient, database: Database, project_id: str
) -> None:
    answer = await send(small, csv(), dt="0.1", name="big")
    made = answer.json()
    assert (answer.status_code, made["status"], made["rows"]) == (202, "processing", None)
    assert (await small.get(made["links"]["content"])).content == csv()
    with database.read() as session:
        job = session.scalars(select(Job)).one()
        dataset = session.scalars(datasets.get(project_id, made["id"])).one()
    assert (job.kind, job.status, job.dataset_id) == ("ingest", "queued", made["id"])
    assert (dataset.options["name"], dataset.options["dt"], dataset.options["missing"]) == ("waves.csv", 0.1, "refuse")
    early = await small.post("/v1/jobs", json={"dataset_id": made["id"]})
    assert (early.status_code, early.json()["code"]) == (409, "dataset_not_ready")


async def test_a_dataset_that_could_not_be_read_carries_the_same_problem(
    small: httpx.AsyncClient, client: httpx.AsyncClient, database: Database
) -> None:
    direct = (await send(client, changed(10, "hello,0.5"))).json()
    made = (await send(small, changed(10, "hello,0.5"))).json()
    of_the_answer = {"type", "status", "instance", "request_id"}
    kept = {name: value for name, value in direct.items() if name not in of_the_answer}
    with database.write.begin() as session:
        datasets.reject(session, made["id"], kept)
    seen = (await small.get(f"/v1/datasets/{made['id']}")).json()
    assert (seen["status"], seen["error"]) == ("failed", kept | {"type": direct["type"]})
    assert (await small.get("/v1/datasets", params={"status": "failed"})).json()["data"] == [seen]


async def test_too_many_bytes_are_413_and_nothing_is_stored(small: httpx.AsyncClient, database: Database) -> None:
    for size in (100_001, 300_000):
        answer = await send(small, b"1" * size)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Blob)) == 0


@ONE_DATABASE
async def test_a_file_that_would_cost_too_much_is_stopped(service_settings: Settings, api_key: str) -> None:
    for limit, code in (({"max_rows": 40}, "data_too_large"), ({"parse_memory_bytes": 2**20}, "parser_limit")):
        async with client_of(service_settings.model_copy(update=limit), api_key) as client:
            answer = await send(client, csv(np.tile(WAVES, (2000, 1))))
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_reader_that_hangs_is_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "request.json")
    with pytest.raises(ParserLimit, match=r"longer than 0\.5 s"):
        await run_reader(tmp_path, 0.5)


async def test_a_reader_that_dies_is_a_limit(tmp_path: Path) -> None:
    with pytest.raises(ParserLimit, match="exit code -9"):
        outcome(tmp_path, -9)


@ONE_DATABASE
async def test_uploads_do_not_hold_up_other_requests(client: httpx.AsyncClient) -> None:
    uploads = [asyncio.create_task(send(client, csv())) for _ in range(4)]
    await asyncio.sleep(0.05)
    assert (await client.get("/livez")).status_code == 200
    assert {answer.status_code for answer in await asyncio.gather(*uploads)} == {201}


@ONE_DATABASE
async def test_inputs_and_trials_of_a_table_are_told_apart_from_its_channels(client: httpx.AsyncClient) -> None:
    rows = np.column_stack([WAVES, np.repeat([1.0, 2.0], 32), T % 5])
    content = csv(rows, "a,b,trial,light")
    made = (await send(client, content, inputs="light", stretch_column="trial")).json()
    assert (made["names"], made["input_names"], made["stretches"]) == (["a", "b"], ["light"], 2)
    refused = await send(client, content, inputs="light,heat")
    assert (refused.status_code, refused.json()["code"], refused.json()["column"]) == (422, "unknown_column", "heat")
