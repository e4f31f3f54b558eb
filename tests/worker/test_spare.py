"""Runner processes are real here: each ends with its pipe, none is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from worker.protocol import Message
from worker.spare import Runner, Spares

PATIENCE_S = 20.0


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    child = Runner(tmp_path)
    yield child
    child.close()
    assert not psutil.pid_exists(child.pid)


def listen(runner: Runner) -> list[Message]:
    heard: list[Message] = []
    deadline = time.monotonic() + PATIENCE_S
    while not runner.silent and time.monotonic() < deadline:
        heard += runner.read(0.2)
    return heard


def test_killing_a_runner_ends_its_messages(runner: Runner) -> None:
    os.kill(runner.pid, signal.SIGKILL)
    assert listen(runner) == [] and runner.silent
    assert runner.finish() == -signal.SIGKILL


def test_a_spare_that_died_is_replaced(tmp_path: Path) -> None:
    spares = Spares(tmp_path)
    try:
        spares.refresh()
        first = spares.take("train")
        first.close()
        spares.refresh()
        second = spares.take("train")
        assert second.alive() and second.pid != first.pid
        second.close()
    finally:
        spares.close()


PARENT = """
import sys, time
from pathlib import Path
from worker.spare import Runner
runner = Runner(Path(sys.argv[1]))
print(runner.pid, flush=True)
time.sleep(60)
"""


def test_kill_9_of_the_parent_takes_the_runner_along(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(timeout=PATIENCE_S)
