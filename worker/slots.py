"""How many jobs of which kind one worker runs at a time; shared by Celery tasks and the poller."""

import threading
from collections.abc import Iterable

from chaos_store.states import Kind

LIGHT_SLOTS = 1
LIGHT_KINDS = frozenset({Kind.analyse, Kind.ingest})


class Slots:
    """Short jobs have a slot of their own, so that an upload never waits behind hours of training."""

    def __init__(self, training: int, light: int = LIGHT_SLOTS) -> None:
        self._free = {False: training, True: light}
        self._lock = threading.Lock()

    def take(self, kind: str) -> bool:
        with self._lock:
            light = kind in LIGHT_KINDS
            if self._free[light] == 0:
                return False
            self._free[light] -= 1
            return True

    def give_back(self, kind: str) -> None:
        with self._lock:
            self._free[kind in LIGHT_KINDS] += 1

    def open_kinds(self, kinds: Iterable[str] = Kind) -> list[str]:
        with self._lock:
            return [str(kind) for kind in kinds if self._free[kind in LIGHT_KINDS] > 0]
