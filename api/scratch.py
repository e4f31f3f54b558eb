"""Temporary files of this process on the service's own disk; what a killed one left goes at the next start."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PREFIX = "api-"


@contextmanager
def scratch(data_dir: Path) -> Iterator[None]:
    root = data_dir / "scratch"
    folder = root / f"{PREFIX}{os.getpid()}"
    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob(f"{PREFIX}*"):
        if left == folder or not _runs(left.name.removeprefix(PREFIX)):
            shutil.rmtree(left, ignore_errors=True)
    folder.mkdir(mode=0o700)
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: str) -> bool:
    return pid.isdecimal() and psutil.pid_exists(int(pid))
