"""What the handlers share: settings, sessions, the parser, the broker, and the keys seen lately."""

import asyncio
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from celery import Celery
from sqlalchemy.ext.asyncio import AsyncSession

from chaos_store.engine import AsyncDatabase, Database
from chaos_store.settings import Settings

from .answering import answering
from .asking import Asking
from .watching import Watch

KEY_TTL_S = 10.0
KEYS_KEPT = 1024


@dataclass(frozen=True)
class Caller:
    project_id: str
    key_id: str


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


@dataclass
class KeyCache:
    clock: Callable[[], float] = time.monotonic
    entries: dict[bytes, tuple[float, Caller]] = field(default_factory=dict)

    def get(self, secret: str) -> Caller | None:
        until, caller = self.entries.get(_digest(secret), (0.0, None))
        return caller if self.clock() < until else None

    def put(self, secret: str, caller: Caller) -> None:
        if len(self.entries) >= KEYS_KEPT:
            self.entries.clear()
        self.entries[_digest(secret)] = (self.clock() + KEY_TTL_S, caller)


@dataclass(frozen=True)
class Context:
    settings: Settings
    database: AsyncDatabase
    bulk: Database
    celery: Celery
    parser_slots: asyncio.Semaphore
    generator_slot: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    maker_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    keys: KeyCache = field(default_factory=KeyCache)
    stopping: threading.Event = field(default_factory=threading.Event)
    watch: Watch = field(init=False)
    asking: Asking = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "watch", Watch(self.database, self.stopping))
        object.__setattr__(self, "asking", Asking(self.database))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        with answering():
            async with self.database.read() as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        with answering():
            async with self.database.write.begin() as session:
                yield session
