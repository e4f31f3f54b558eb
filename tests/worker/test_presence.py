"""A worker tells of itself while it lives, and is forgotten afterwards."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from sqlalchemy import select, update

from chaos_core import native
from chaos_store import workers
from chaos_store.broker import make_celery
from chaos_store.engine import Database, now
from chaos_store.settings import Settings
from chaos_store.tables import Worker
from tests.house.tree import ROOT
from worker.machine import machine, versions
from worker.presence import Presence
from worker.reaper import Reaper
from worker.slots import Slots

NVML = """
class NVMLError(Exception): pass
class Memory: total = 80 * 2**30
nvmlInit = nvmlShutdown = lambda: None
nvmlDeviceGetCount = lambda: 3
nvmlDeviceGetHandleByIndex = lambda index: index
nvmlDeviceGetName = lambda handle: b"GPU %d" % handle
nvmlDeviceGetMemoryInfo = lambda handle: Memory
"""
"""Stands for nvidia-ml-py, which is not installed here, on a machine with three GPUs."""


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def rows(database: Database) -> list[Worker]:
    with database.read() as session:
        return list(session.scalars(select(Worker)))


def test_the_row_is_renewed_and_goes_with_the_worker(database: Database, settings: Settings) -> None:
    quick = settings.model_copy(update={"heartbeat_s": 0.05})
    presence = Presence(database, quick, Slots(training=2, light=1), "host-7-a")
    presence.start()
    until(lambda: len(rows(database)) == 1)
    [first] = rows(database)
    until(lambda: rows(database)[0].seen_at > first.seen_at)
    assert (first.name, first.pid, first.training_slots, first.light_slots) == ("host-7-a", os.getpid(), 2, 1)
    assert first.machine == machine() and first.versions == versions()
    presence.stop()
    assert rows(database) == []


def test_the_reaper_buries_who_has_long_been_silent(database: Database, settings: Settings) -> None:
    facts = {"host": "h", "pid": 1, "kinds": "all", "training_slots": 1, "light_slots": 1}
    with database.write.begin() as session:
        for name, silent_s in (("alive", 0.0), ("silent", 2.0), ("dead", 11.0)):
            workers.renew(session, name, machine={}, versions={}, **facts)
            silence = silent_s * settings.lease_s
            session.execute(update(Worker).where(Worker.name == name).values(seen_at=now() - silence))
    Reaper(database, make_celery(settings, role="sender"), settings, "reaper").round()
    assert {row.name for row in rows(database)} == {"alive", "silent"}


def test_the_machine_is_told_as_it_is() -> None:
    found = machine()
    assert found["memory_bytes"] == psutil.virtual_memory().total
    assert found["kernels"] == native.status().level
    assert 1 <= found["cores"] <= (os.cpu_count() or 1) and found["cpu"]
    assert set(versions()) == {"release", "core_sha256", "python"}


def _gpus(folder: Path, **environment: str) -> object:
    (folder / "pynvml.py").write_text(NVML)
    code = "import json; from worker.machine import machine; print(json.dumps(machine()['gpus']))"
    given = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    paths = {"PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=given | paths | environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_gpus_are_named_where_their_library_is(tmp_path: Path) -> None:
    all_three = [{"name": f"GPU {number}", "memory_bytes": 80 * 2**30} for number in range(3)]
    assert _gpus(tmp_path) == all_three
    assert _gpus(tmp_path, CUDA_VISIBLE_DEVICES="2,0") == [all_three[2], all_three[0]]
    assert _gpus(tmp_path, CUDA_VISIBLE_DEVICES="") == []
