"""The data folder of the embedded service: who holds it, its private files, and the store's commands on it."""

import fcntl
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

from chaos_client.failures import ServeError

WORDS_KEPT = 2000


def record(folder: Path) -> Path:
    """Says where the running service is; absent while none runs."""
    return folder / "service.json"


def key_file(folder: Path) -> Path:
    return folder / "api_key"


def take(folder: Path) -> IO[str]:
    """Holds the folder until the returned file is closed or the process ends, however it ends."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = (folder / "serve.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise ServeError(
            f"another service already uses {folder} (pid {holder}). Stop it, or choose another folder with --data-dir."
        ) from error
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def write_private(path: Path, text: str) -> None:
    part = path.with_suffix(path.suffix + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    part.replace(path)


def environment(folder: Path, broker_url: str | None = None) -> dict[str, str]:
    """What each process of the service on this folder is given."""
    given = {**os.environ, "CHAOS_DATA_DIR": str(folder.resolve()), "PYTHONUNBUFFERED": "1"}
    return given | ({"CHAOS_BROKER_URL": broker_url} if broker_url else {})


def look_after(folder: Path, *arguments: str) -> int:
    """Runs `python -m chaos_store` on the folder before the user's eyes; its exit code."""
    command = (sys.executable, "-m", "chaos_store", *arguments)
    return subprocess.run(command, env=environment(folder, _running_broker(folder)), check=False).returncode


def ask(command: str, environment: dict[str, str], *options: str) -> str:
    """What `python -m chaos_store COMMAND` prints."""
    words = (sys.executable, "-m", "chaos_store", command, *options)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-WORDS_KEPT:]
        raise ServeError(f"`python -m chaos_store {command}` failed:\n{said}")
    return done.stdout.strip()


def _running_broker(folder: Path) -> str | None:
    if "CHAOS_BROKER_URL" in os.environ:
        return None
    with suppress(OSError, ValueError, KeyError):
        return str(json.loads(record(folder).read_text())["broker_url"])
    return None
