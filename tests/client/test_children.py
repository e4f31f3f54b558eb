import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from chaos_client.children import GIVE_UP_AFTER, Child
from chaos_client.failures import ServeError

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")
QUITTER = (sys.executable, "-S", "-c", "raise SystemExit(3)")


def child(command: tuple[str, ...], folder: Path, stop_s: float = 2.0) -> Child:
    return Child("probe", command, os.environ, folder / "probe.log", stop_s=stop_s)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_killed_child_is_started_again_after_its_backoff(tmp_path: Path) -> None:
    probe = child(SLEEPER, tmp_path)
    probe.start()
    first = probe.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: not probe.alive)
    said = probe.watch()
    assert said is not None
    assert "starting it again in 0.2 s" in said
    assert probe.watch() is None
    until(lambda: probe.watch() is not None)
    assert probe.alive
    assert probe.pid != first
    probe.stop()


def test_a_child_that_dies_again_and_again_ends_the_service_loudly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaos_client.children.FIRST_BACKOFF_S", 0.0)
    probe = child(QUITTER, tmp_path)
    probe.start()
    with pytest.raises(ServeError, match=f"died {GIVE_UP_AFTER + 1} times in a row \\(last exit 3\\)"):
        for _ in range(10_000):
            probe.watch()
            time.sleep(0.002)


def test_a_child_that_ignores_sigterm_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    probe = child((sys.executable, "-S", "-c", deaf), tmp_path, stop_s=0.3)
    probe.start()
    until(lambda: "deaf" in (tmp_path / "probe.log").read_text())
    probe.stop()
    assert not probe.alive


def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    record = tmp_path / "pid"
    log = tmp_path / "log"
    code = (
        "import os, sys, time; from pathlib import Path; from chaos_client.children import Child\n"
        "sleeper = (sys.executable, '-c', 'import time; time.sleep(60)')\n"
        f"probe = Child('probe', sleeper, os.environ, Path({str(log)!r}), stop_s=1)\n"
        f"probe.start(); Path({str(record)!r}).write_text(str(probe.pid)); time.sleep(60)"
    )
    supervisor = psutil.Popen([sys.executable, "-c", code])
    until(lambda: record.exists() and record.read_text() != "")
    orphan = psutil.Process(int(record.read_text()))
    supervisor.kill()
    supervisor.wait()
    until(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE)
