"""A line to a receiver: to an address that was looked at before, and for a limited time in all."""

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Sequence
from queue import Empty, SimpleQueue
from typing import Any

from httpcore import (
    SOCKET_OPTION,
    ConnectError,
    ConnectTimeout,
    NetworkBackend,
    NetworkStream,
    ReadTimeout,
    SyncBackend,
    WriteTimeout,
)

from chaos_store.addresses import Network, is_allowed

__all__ = ["AddressRefused", "Interrupted", "NameNotFound", "Patience", "PinnedBackend"]

SLICE_S = 0.25
ADDRESSES_TRIED = 4
CONNECT_S = 5.0


class NameNotFound(Exception):
    """The host's name leads to no address."""


class AddressRefused(Exception):
    """The host's name leads to an address that is not public."""


class Interrupted(Exception):
    """The sender is going down."""


class Patience:
    """How long the whole attempt may take yet; none is left once the sender goes down."""

    def __init__(self, seconds: float, interrupted: threading.Event) -> None:
        self._until = time.monotonic() + seconds
        self._interrupted = interrupted

    def left(self) -> float:
        if self._interrupted.is_set():
            raise Interrupted
        return self._until - time.monotonic()

    def shorten(self, seconds: float) -> None:
        self._until = min(self._until, time.monotonic() + seconds)


class PinnedBackend(NetworkBackend):
    """Resolves a name itself, looks at every address, and connects to one of those and to nothing else."""

    def __init__(self, patience: Patience, allowed: Sequence[Network]) -> None:
        self._patience = patience
        self._allowed = allowed
        self._plain = SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        del timeout, local_address, socket_options
        addresses = self._addresses(host, port)
        if not all(is_allowed(address, self._allowed) for address in addresses):
            raise AddressRefused("The name leads to an address that is not public.")
        failure: Exception = NameNotFound("The name leads to no address.")
        for address in addresses[:ADDRESSES_TRIED]:
            try:
                return self._connect(address, port)
            except (ConnectError, ConnectTimeout) as error:
                failure = error
        raise failure

    def _connect(self, address: str, port: int) -> NetworkStream:
        left = self._patience.left()
        if left <= 0:
            raise ConnectTimeout
        return PatientStream(self._plain.connect_tcp(address, port, timeout=min(left, CONNECT_S)), self._patience)

    def _addresses(self, host: str, port: int) -> list[str]:
        """In a thread of its own: the system's resolver cannot be told how long to wait."""
        answers: SimpleQueue[list[str] | OSError] = SimpleQueue()
        threading.Thread(target=_resolve, args=(host, port, answers), name="resolver", daemon=True).start()
        while (left := self._patience.left()) > 0:
            try:
                answer = answers.get(timeout=min(left, SLICE_S))
            except Empty:
                continue
            if isinstance(answer, OSError):
                raise NameNotFound("The name leads to no address.") from answer
            return answer
        raise ConnectTimeout


def _resolve(host: str, port: int, answers: "SimpleQueue[list[str] | OSError]") -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        answers.put(error if isinstance(error, OSError) else OSError(str(error)))
    else:
        answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))


class PatientStream(NetworkStream):
    """However many bytes drip in or out, all together take no longer than the patience lasts."""

    def __init__(self, stream: NetworkStream, patience: Patience) -> None:
        self._stream = stream
        self._patience = patience

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        while (left := self._patience.left()) > 0:
            try:
                return self._stream.read(max_bytes, timeout=min(left, SLICE_S))
            except ReadTimeout:
                continue
        raise ReadTimeout

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        left = self._patience.left()
        if left <= 0:
            raise WriteTimeout
        self._stream.write(buffer, timeout=left)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        del timeout
        left = self._patience.left()
        if left <= 0:
            raise ConnectTimeout
        return PatientStream(self._stream.start_tls(ssl_context, server_hostname, timeout=left), self._patience)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
