"""Real receivers of webhooks on real sockets, each behaving well or badly as its script says."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

CERTIFICATES = Path(__file__).parent / "certificates"
LONG_S = 60.0


class Handler(BaseHTTPRequestHandler):
    """Notes the request, then does what the next act of the script says; the last act is repeated."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        act = self.server.note(Received(self.path, dict(self.headers.items()), body, time.time()))
        with suppress(OSError):
            act(self)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


Act = Callable[[Handler], None]


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    at: float


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, acts: Sequence[Act], *, tls: bool) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.acts = list(acts)
        self.received: list[Received] = []
        self.changed = threading.Condition()
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATES / "receiver.pem")
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def note(self, request: Received) -> Act:
        with self.changed:
            self.received.append(request)
            self.changed.notify_all()
            return self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]

    def handle_error(self, *_: object) -> None:
        pass


@dataclass
class Receiver:
    acts: Sequence[Act]
    tls: bool = False
    host: str = "127.0.0.1"
    _server: Server = field(init=False)

    def __enter__(self) -> "Receiver":
        self._server = Server(self.acts, tls=self.tls)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self._server.server_port}/hook?x=1"

    @property
    def received(self) -> list[Received]:
        with self._server.changed:
            return list(self._server.received)

    def wait(self, count: int = 1, seconds: float = LONG_S) -> list[Received]:
        with self._server.changed:
            assert self._server.changed.wait_for(lambda: len(self._server.received) >= count, seconds)
            return list(self._server.received)


def answers(status: int, body: bytes = b"", **headers: str) -> Act:
    def act(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return act


def says_nothing(handler: Handler) -> None:
    """Until the other side hangs up."""
    handler.connection.settimeout(LONG_S)
    handler.connection.recv(1)


def resets(handler: Handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def endless(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        handler.wfile.write(b"more " * 1000)


def drips(handler: Handler) -> None:
    """A header that never ends, a letter at a time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        handler.wfile.write(b"z")
        time.sleep(0.02)


def babbles(handler: Handler) -> None:
    handler.wfile.write(b"this is no HTTP at all\r\n\r\n")
