"""A database or broker that neither answers nor refuses is told of in bounded time."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos_store.settings import Settings
from tests.api.conftest import client_of

LONGEST_S = 10.0
"""Generous: the checks give up after two seconds, connections to Postgres after five."""


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        yield server.getsockname()[1]


async def test_what_hangs_is_named_and_asking_often_piles_nothing_up(tmp_path: Path, mute: int) -> None:
    settings = Settings(
        data_dir=tmp_path,
        database_url=f"postgresql://chaos@127.0.0.1:{mute}/chaos",
        broker_url=f"redis://127.0.0.1:{mute}/0",
    )
    async with client_of(settings) as client:
        began = time.monotonic()
        answers = await asyncio.gather(*(client.get("/readyz") for _ in range(30)))
        assert time.monotonic() - began < LONGEST_S
        for answer in answers:
            assert answer.status_code == 503
            assert answer.json() == {
                "status": "unavailable",
                "checks": {"database": "does not answer", "migrations": "unknown", "broker": "does not answer"},
                "workers": None,
            }
        assert (await client.get("/livez")).status_code == 200
        numbers = await client.get("/metrics")
    assert (numbers.status_code, "chaos_database_up 0.0" in numbers.text) == (200, True)


async def test_a_broker_that_hangs_leaves_the_database_in_order(settings: Settings, mute: int) -> None:
    hanging = settings.model_copy(update={"broker_url": f"redis://127.0.0.1:{mute}/0"})
    async with client_of(hanging) as client:
        checks = (await client.get("/readyz")).json()["checks"]
    assert checks == {"database": "ok", "migrations": "ok", "broker": "does not answer"}
