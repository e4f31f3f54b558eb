"""Files of every format through the upload route and the real reader process."""

from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from chaos_core.readers.limits import Limits
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import Blob, Dataset
from tests.core import files, malice
from tests.core.files import CLOCK, WHOLE, X

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


async def send(client: httpx.AsyncClient, content: bytes, filename: str, **fields: Any) -> httpx.Response:
    return await client.post("/v1/datasets", files={"file": (filename, content)}, data=fields)


UPLOADS = [
    *(WHOLE[kind] for kind in ("tsv", "npz", "parquet", "hdf5", "matlab 5", "matlab 7.3", "netcdf 1", "json rows")),
    *(files.PACKED[kind] for kind in ("csv gz", "csv zst", "hdf5 gz")),
]


@pytest.mark.parametrize(("name", "content"), UPLOADS, ids=[name for name, _ in UPLOADS])
async def test_a_file_of_any_format_becomes_a_ready_dataset(
    client: httpx.AsyncClient, name: str, content: bytes
) -> None:
    answer = await send(client, content, name)
    made = answer.json()
    assert (answer.status_code, made["status"], made["rows"], made["channels"]) == (201, "ready", 40, 3), made
    back = await client.get(made["links"]["content"])
    assert back.content == content
    packed = {"gz": "application/gzip", "zst": "application/zstd"}.get(name.rpartition(".")[2])
    assert back.headers["content-type"] != "application/octet-stream" and packed in (None, back.headers["content-type"])


async def test_the_form_names_arrays_and_formats(client: httpx.AsyncClient) -> None:
    content = files.npz(a=X[:, 0], b=X[:, 1], c=X, t=CLOCK)
    made = (await send(client, content, "upload", dataset="a, b", arrays="columns", format="npz")).json()
    assert (made["names"], made["dt"], made["stretches"]) == (["a", "b"], 0.02, 1)
    made = (await send(client, content, "upload", dataset="b,a", arrays="stretches")).json()
    assert (made["rows"], made["channels"], made["stretches"]) == (80, 1, 2)
    text = b"1;2,5\n" * 20 + b"2;3,5\n" * 20
    made = (await send(client, text, "a.dat", delimiter="semicolon", decimal="comma", header="false")).json()
    assert (made["rows"], made["names"]) == (40, ["x0", "x1"])
    problem = (await send(client, content, "upload")).json()
    assert (problem["code"], len(problem["candidates"])) == ("ambiguous_dataset", 3)
    problem = (await send(client, content, "upload", format="parquet")).json()
    assert (problem["status"], problem["code"], problem["found"]) == (415, "format_mismatch", "npz")


REFUSED = [
    "zip bomb in npz", "npz that leaves its folder", "npz with one name twice", "npy with a huge header",
    "gzip within gzip", "gzip of 10^5 empty pieces", "json of 10^6 brackets", "hdf5 with an external link",
    "hdf5 with an unknown filter", "mat with a function handle", "parquet with a lying footer",
]  # fmt: skip


@pytest.mark.parametrize("title", REFUSED)
async def test_a_malicious_upload_is_a_4xx_and_nothing_is_stored(
    client: httpx.AsyncClient, database: Database, title: str
) -> None:
    attack = malice.ATTACKS[title]
    answer = await send(client, attack.make(), attack.name)
    assert (answer.status_code, answer.json()["code"]) == (422, attack.code)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Dataset)) == 0
        assert session.scalar(select(func.count()).select_from(Blob)) == 0


async def test_every_limit_of_the_readers_is_a_setting_and_shown(client: httpx.AsyncClient) -> None:
    shown = (await client.get("/v1/limits")).json()
    defaults = Limits().model_dump()
    assert {name: shown[name] for name in defaults} == defaults
    assert Settings().reader_limits() == defaults | {"memory_bytes": shown["parse_memory_bytes"], "cpu_s": 60}
