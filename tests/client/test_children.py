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
QUITTER = (sys.executable, "-S", "-c", "print('no such table: jobs'); raise SystemExit(3)")


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
    with pytest.raises(ServeError, match=f"died {GIVE_UP_AFTER + 1} times in a row \\(last exit 3\\)") as given_up:
        for _ in range(10_000):
            probe.watch()
            time.sleep(0.002)
    assert str(given_up.value).endswith("no such table: jobs")


def test_a_child_that_others_kill_now_and_then_is_never_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaos_client.children.FIRST_BACKOFF_S", 0.0)
    monkeypatch.setattr("chaos_client.children.STEADY_WHERE_KILLED_S", 0.01)
    probe = child(SLEEPER, tmp_path)
    probe.start()
    for _ in range(GIVE_UP_AFTER + 5):
        assert probe.pid is not None
        time.sleep(0.02)
        os.kill(probe.pid, signal.SIGKILL)
        until(lambda: not probe.alive)
        until(lambda: "started again" in (probe.watch() or ""))
    probe.stop()


def test_a_long_log_is_set_aside_once_and_the_child_writes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaos_client.children.MOST_LOG_BYTES", 2000)
    talks = "import time\nfor n in range(10**6): print(n, flush=True); time.sleep(0.001)"
    chatty = child((sys.executable, "-c", talks), tmp_path)
    chatty.start()
    older = chatty.log.with_suffix(".1.log")

    def set_aside() -> bool:
        chatty.watch()
        return older.exists() and 0 < chatty.log.stat().st_size < older.stat().st_size

    until(set_aside)
    chatty.stop()
    last, first = older.read_text().split()[-1], chatty.log.read_text().split()[0]
    assert int(last) < int(first) < int(last) + 100


def test_a_child_that_cannot_be_started_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaos_client.children.FIRST_BACKOFF_S", 0.0)
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    probe = child((str(program),), tmp_path)
    probe.start()
    program.rename(tmp_path / "away")
    assert probe.pid is not None
    os.kill(probe.pid, signal.SIGKILL)
    until(lambda: "could not be started" in (probe.watch() or ""))
    (tmp_path / "away").rename(program)
    until(lambda: "started again" in (probe.watch() or ""))
    probe.stop()


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
