"""The service's processes on this machine, told apart by their command and by the data folder in their environment."""

import fcntl
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import IO

import psutil

from .settings import Settings

__all__ = ["end", "is_alone", "left_behind", "orphaned_runners", "runs_worker"]

RUNNER = "worker.runner"
PROGRAMS = ("api", "worker", "chaos_core.readers")
BROKERS = ("valkey-server", "redis-server")
LOCK_FILE = "serve.lock"
GRACE_S = 5.0
POLL_S = 0.02


def is_alone(folder: Path) -> bool:
    """Whether the process that holds the folder's lock started this one: then all others in it are left behind."""
    try:
        with (folder / LOCK_FILE).open() as lock:
            return _is_held(lock) and lock.read().strip() in {str(process.pid) for process in _own()}
    except OSError:
        return False


def _is_held(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def left_behind(folder: Path) -> list[psutil.Process]:
    """API, worker, runner and broker of this folder, whoever started them, but not who started this process."""
    own = _own()
    return [process for process in psutil.process_iter() if process not in own and _serves(process, folder)]


def orphaned_runners(folder: Path) -> list[psutil.Process]:
    """Runners of this folder that no worker watches."""
    runners = (process for process in psutil.process_iter() if _is_runner(_module(process)))
    return [runner for runner in runners if _is_of(runner, folder) and not any(map(runs_worker, _parents(runner)))]


def runs_worker(process: psutil.Process) -> bool:
    """Whether it is a living worker, and not another program that was given its number."""
    return _module(process) == "worker" and _runs(process)


def end(processes: Iterable[psutil.Process], grace_s: float = GRACE_S) -> int:
    """Asks them to stop, then kills them with their groups; how many there were."""
    asked = list(processes)
    for process in asked:
        with suppress(psutil.Error):
            process.terminate()
    for process in _outliving(asked, grace_s):
        with suppress(psutil.Error, ProcessLookupError):
            leads = os.getpgid(process.pid) == process.pid
            os.killpg(process.pid, signal.SIGKILL) if leads else process.kill()
    _outliving(asked, grace_s)
    return len(asked)


def _outliving(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that still run after so long; the dead that nobody buried do not count."""
    deadline = time.monotonic() + seconds
    while True:
        alive = [process for process in processes if _runs(process)]
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(POLL_S)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _own() -> list[psutil.Process]:
    me = psutil.Process()
    return [me, *_parents(me)]


def _parents(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.parents())
    except psutil.Error:
        return []


def _serves(process: psutil.Process, folder: Path) -> bool:
    module = _module(process)
    if module is not None:
        return (module in PROGRAMS or _is_runner(module)) and _is_of(process, folder)
    try:
        return process.name() in BROKERS and folder in (Path(process.cwd()), *Path(process.cwd()).parents)
    except psutil.Error:
        return False


def _module(process: psutil.Process) -> str | None:
    """What `python -m` runs."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return None
    return next((word for flag, word in pairwise(words) if flag == "-m"), None)


def _is_runner(module: str | None) -> bool:
    return module is not None and (module == RUNNER or module.startswith(f"{RUNNER}."))


def _is_of(process: psutil.Process, folder: Path) -> bool:
    try:
        given = process.environ().get("CHAOS_DATA_DIR", str(Settings.model_fields["data_dir"].default))
        return Path(process.cwd(), given).resolve() == folder.resolve()
    except psutil.Error:
        return False
