"""How many jobs of which kind one worker runs at a time; shared by Celery tasks and the poller."""

import threading

from chaos_store.settings import Settings
from chaos_store.states import Kind

LIGHT_SLOTS = 1
LIGHT_KINDS = frozenset({Kind.analyse, Kind.ingest, Kind.baseline, Kind.evaluate})
KINDS = {False: frozenset(Kind) - LIGHT_KINDS, True: LIGHT_KINDS}


class Slots:
    """Short jobs have slots of their own, so that an upload never waits behind hours of training."""

    def __init__(self, training: int, light: int = LIGHT_SLOTS) -> None:
        self.training, self.light = training, light
        self._free = {False: training, True: light}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> "Slots":
        """A worker of one kind gives all its slots to it; one of all kinds has one more for light jobs."""
        slots = settings.worker_slots
        match settings.worker_kinds:
            case "train":
                return cls(training=slots, light=0)
            case "light":
                return cls(training=0, light=slots)
            case _:
                return cls(training=slots)

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

    def open_kinds(self) -> list[frozenset[Kind]]:
        """The kinds that share a free slot, so that the oldest job of them all is next."""
        with self._lock:
            return [kinds for light, kinds in KINDS.items() if self._free[light] > 0]
