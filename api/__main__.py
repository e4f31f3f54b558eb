"""python -m api: serves HTTP until SIGTERM."""

import argparse
import gc
import json
import os
import signal
import socket
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from chaos_store import logs
from chaos_store.settings import Settings

from .app import create_app
from .scratch import scratch

GRACE_S = 8


class Server(uvicorn.Server):
    """Ends long polls at the first signal, and says in a file when it takes connections.

    The collector of garbage passes over all that was loaded: to look at it took 0.15 s, in which nobody was answered.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, ready_file: Path | None) -> None:
        super().__init__(config)
        self.app = app
        self.ready_file = ready_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.freeze()
        if self.ready_file is not None and sockets:
            host, port = sockets[0].getsockname()[:2]
            address = f"[{host}]" if ":" in host else host
            ready = {"url": f"http://{address}:{port}", "pid": os.getpid()}
            partial = self.ready_file.with_suffix(".partial")
            partial.write_text(json.dumps(ready))
            partial.replace(self.ready_file)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.app.state.context.stopping.set()
        super().handle_exit(sig, frame)


def _arguments(settings: Settings) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m api", description="Serves the HTTP interface.")
    parser.add_argument("--host", default=settings.host, help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=settings.port, help="0 takes any free one (default %(default)s)")
    parser.add_argument("--fd", type=int, help="file descriptor of a listening socket, instead of host and port")
    parser.add_argument("--ready-file", type=Path, help="written when connections are taken: JSON with url and pid")
    return parser.parse_args()


def _socket(arguments: argparse.Namespace) -> socket.socket:
    if arguments.fd is not None:
        return socket.socket(fileno=arguments.fd)
    family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
    return socket.create_server((arguments.host, arguments.port), family=family, backlog=2048)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """uvicorn sends itself the signal again when it has finished."""
    raise SystemExit(0)


def main() -> None:
    settings = Settings()
    logs.set_up(settings)
    arguments = _arguments(settings)
    listening = _socket(arguments)
    app = create_app(settings)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=GRACE_S,
        proxy_headers=settings.trusted_proxies is not None, forwarded_allow_ips=settings.trusted_proxies,
    )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    with scratch(settings.data_dir):
        Server(config, app, arguments.ready_file).run(sockets=[listening])


if __name__ == "__main__":
    main()
