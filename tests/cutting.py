"""A real connection that breaks: forwards bytes to a server and cuts after so many of them."""

import contextlib
import socket
import threading
from types import TracebackType

PIECE_BYTES = 65536


class CuttingProxy:
    """Listens on a port of its own. The connection on which byte number `cuts[0]` passes, counted over all of them, is
    closed there and then; so for each later one. `passed` counts the bytes that went on to the server."""

    def __init__(self, host: str, port: int, cuts: list[int]) -> None:
        self._server = (host, port)
        self._cuts = sorted(cuts)
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.passed = 0
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> "CuttingProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in (self._listening, *self._open):
            _close(end)

    @property
    def cuts_left(self) -> int:
        return len(self._cuts)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
                self._open += [client, server]
                for act in (self._forth, self._back):
                    threading.Thread(target=act, args=(client, server), daemon=True).start()

    def _forth(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := client.recv(PIECE_BYTES):
                kept, cut = self._count(len(piece))
                server.sendall(piece[:kept])
                if cut:
                    break
        _close(client)
        _close(server)

    def _back(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(PIECE_BYTES):
                client.sendall(piece)
        _close(client)

    def _count(self, size: int) -> tuple[int, bool]:
        with self._lock:
            cut = bool(self._cuts) and self._cuts[0] < self.passed + size
            kept = max(0, self._cuts.pop(0) - self.passed) if cut else size
            self.passed += kept
            return kept, cut


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
