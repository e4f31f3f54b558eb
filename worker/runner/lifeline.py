"""The pipe from the supervisor: it brings the assignment, and its end is the end of this process."""

import os
import queue
import signal
import threading

from ..protocol import Assignment

STDIN = 0
READ_BYTES = 65536


class Lifeline:
    """Watches from the first moment on, so that a runner still importing dies with its supervisor too."""

    def __init__(self) -> None:
        self._assignments: queue.SimpleQueue[Assignment] = queue.SimpleQueue()
        threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    def assignment(self) -> Assignment:
        return self._assignments.get()

    def _watch(self) -> None:
        pending = b""
        while piece := os.read(STDIN, READ_BYTES):
            *lines, pending = (pending + piece).split(b"\n")
            for line in lines:
                self._assignments.put(Assignment.model_validate_json(line))
        os.killpg(os.getpgid(0), signal.SIGKILL)
