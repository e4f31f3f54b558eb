"""The runner's side of the protocol: messages out, and the wish to stop coming in as SIGTERM."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import BinaryIO

from ..protocol import Message, encode


class Interrupted(BaseException):
    """SIGTERM came; not an Exception, so that no library swallows it."""


class Channel:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._patient = False
        self.stop_requested = False

    def send(self, message: Message) -> None:
        self._out.write(encode(message))
        self._out.flush()

    def listen(self) -> None:
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_requested = True
        if not self._patient:
            raise Interrupted

    @contextmanager
    def patience(self) -> Iterator[Callable[[], bool]]:
        """Inside, a stop is not raised but asked for, so that the work can be saved first."""
        self._patient = True
        try:
            yield lambda: self.stop_requested
        finally:
            self._patient = False
        if self.stop_requested:
            raise Interrupted
