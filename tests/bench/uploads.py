"""./scripts/bench uploads [--rounds N] [--megabytes M]: how fast data come in, and what a cut connection costs.

A CSV of 900 000 x 7 rows (100 MB) goes to an embedded service as a form, as a raw stream and in parts: seconds from the
first byte sent to `ready`, and by how much the memory of the API's process grows meanwhile. Then a file of M MB goes in
parts through a real connection that is cut at random bytes.
"""

import argparse
import hashlib
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil

from chaos_client.client import Client, Problem
from chaos_client.demo import running_service
from chaos_client.folder import record
from tests.bench.journal import say
from tests.cutting import CuttingProxy

ROWS, CHANNELS = 900_000, 7
MEGABYTE = 1_000_000
LOOK_S = 0.01


def table(path: Path) -> Path:
    """Noisy waves with 15 characters a number, about 100 MB."""
    t, noise = np.arange(ROWS)[:, None], np.random.default_rng(0)
    x = np.sin(t * (0.01 + 0.003 * np.arange(CHANNELS))) + 0.1 * noise.normal(size=(ROWS, CHANNELS))
    np.savetxt(path, x, fmt="%.12f", delimiter=",", header=",".join("abcdefg"), comments="")
    return path


class Growth:
    """The most memory of a process inside the block, over that before it."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Growth":
        self._before = self._most = self._process.memory_info().rss
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watch.join()

    @property
    def megabytes(self) -> float:
        return (self._most - self._before) / MEGABYTE

    def _look(self) -> None:
        while not self._done.wait(LOOK_S):
            self._most = max(self._most, self._process.memory_info().rss)


def service_record(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(record(folder).read_text())
    return facts


def api_process(pid: int) -> int:
    """The child of `chaos serve` that answers HTTP."""
    children = psutil.Process(pid).children(recursive=True)
    return next(child.pid for child in children if child.cmdline()[1:3] == ["-m", "api"])


def pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as content:
        while piece := content.read(MEGABYTE):
            yield piece


def as_form(http: httpx.Client, _: Client, file: Path) -> httpx.Response:
    with file.open("rb") as content:
        return http.post("/v1/datasets", files={"file": (file.name, content)})


def as_stream(http: httpx.Client, _: Client, file: Path) -> httpx.Response:
    made = http.post("/v1/datasets", json={"filename": file.name}).json()
    return http.put(made["links"]["content"], content=pieces(file))


def in_parts(http: httpx.Client, client: Client, file: Path) -> httpx.Response:
    dataset = client.upload_file(file, part_bytes=16 << 20)
    return http.get(dataset["links"]["self"])


WAYS: dict[str, Callable[[httpx.Client, Client, Path], httpx.Response]] = {
    "form": as_form,
    "stream": as_stream,
    "parts": in_parts,
}


def until_ready(http: httpx.Client, client: Client, file: Path, way: str) -> tuple[float, float]:
    """Seconds until the bytes are there, and until the dataset is ready."""
    began = time.monotonic()
    answer = WAYS[way](http, client, file)
    answer.raise_for_status()
    sent_s, dataset = time.monotonic() - began, answer.json()
    while dataset["status"] == "processing":
        time.sleep(LOOK_S)
        dataset = http.get(dataset["links"]["self"]).json()
    if dataset["status"] != "ready":
        raise RuntimeError(f"{way}: {dataset['error']}")
    return sent_s, time.monotonic() - began


def measure_ways(client: Client, facts: dict[str, Any], folder: Path, rounds: int) -> None:
    process, base = api_process(facts["pid"]), table(folder / "waves.csv")
    say(f"{base.stat().st_size / MEGABYTE:.0f} MB of CSV, {ROWS} x {CHANNELS}")
    say("| way | sent s | ready s | growth of the API MB |")
    say("|---|---|---|---|")
    headers = {"Authorization": f"Bearer {facts['api_key']}"}
    with httpx.Client(base_url=facts["url"], headers=headers, timeout=120) as http:
        for number in range(rounds):
            for way in WAYS:
                with base.open("a") as file:
                    file.write(",".join(str(number + len(way) + shift) for shift in range(CHANNELS)) + "\n")
                with Growth(process) as growth:
                    sent_s, ready_s = until_ready(http, client, base, way)
                say(f"| {way} | {sent_s:.2f} | {ready_s:.2f} | {growth.megabytes:.0f} |")


def measure_cuts(facts: dict[str, Any], folder: Path, megabytes: int, cuts: int) -> None:
    """NPY of random numbers: what has come is compared by its hash, whether its reader had the memory for it or not."""
    file = folder / "large.npy"
    x = np.random.default_rng(1).normal(size=(megabytes * MEGABYTE // 32, 4))
    np.save(file, x)
    del x
    size, where = file.stat().st_size, urlsplit(facts["url"])
    assert where.hostname is not None and where.port is not None
    places = sorted(random.Random().sample(range(size), cuts))
    parts: list[dict[str, Any]] = []
    with (
        CuttingProxy(where.hostname, where.port, places) as proxy,
        Client(proxy.url, facts["api_key"], timeout_s=120) as client,
    ):
        began = time.monotonic()
        with suppress(Problem):
            client.upload_file(file, on_progress=parts.append)
        seconds = time.monotonic() - began
        dataset = client.get(client.get(f"/v1/uploads/{parts[0]['id']}")["links"]["dataset"])
    with file.open("rb") as content:
        equal = hashlib.file_digest(content, "sha256").hexdigest() == dataset["content_sha256"]
    twice = proxy.passed - size
    count, status = parts[0]["part_count"], dataset["status"]
    say(f"{size / MEGABYTE:.0f} MB in {count} parts, cut at {places}: {seconds:.1f} s to `{status}`")
    say(f"hash equal: {equal}; a part has {parts[0]['part_bytes']} bytes; sent twice, headers included: {twice}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="./scripts/bench uploads", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--cuts", type=int, default=1)
    how = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running_service(Path(name) / "service") as client:
        facts = service_record(Path(name) / "service")
        measure_ways(client, facts, Path(name), how.rounds)
        measure_cuts(facts, Path(name), how.megabytes, how.cuts)


if __name__ == "__main__":
    main()
