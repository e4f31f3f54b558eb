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
from chaos_store.scopes import Scope
from chaos_store.settings import Settings

from .answering import answering
from .asking import Asking
from .job_versions import JobVersions
from .ledger import Ledger
from .rates import Rates
from .watching import Watch

KEY_TTL_S = 10.0
KEYS_KEPT = 1024
DAY_S = 86_400.0


@dataclass(frozen=True)
class Caller:
    project_id: str
    key_id: str
    scopes: frozenset[str] = frozenset()

    def has(self, scope: Scope) -> bool:
        return scope in self.scopes


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


@dataclass
class KeyCache:
    clock: Callable[[], float] = time.monotonic
    entries: dict[bytes, tuple[float, Caller]] = field(default_factory=dict)

    def get(self, secret: str) -> Caller | None:
        until, caller = self.entries.get(_digest(secret), (0.0, None))
        return caller if self.clock() < until else None

    def put(self, secret: str, caller: Caller, lasts_s: float = KEY_TTL_S) -> None:
        if len(self.entries) >= KEYS_KEPT:
            self.entries.clear()
        self.entries[_digest(secret)] = (self.clock() + min(KEY_TTL_S, lasts_s), caller)

    def forget(self, key_id: str) -> None:
        """The key was changed here; other processes see it when their own time is over."""
        self._keep(lambda caller: caller.key_id != key_id)

    def forget_project(self, project_id: str) -> None:
        self._keep(lambda caller: caller.project_id != project_id)

    def _keep(self, good: Callable[[Caller], bool]) -> None:
        self.entries = {digest: entry for digest, entry in self.entries.items() if good(entry[1])}


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
    ledger: Ledger = field(init=False)
    rates: Rates = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "watch", Watch(self.database, self.stopping))
        object.__setattr__(self, "asking", Asking(self.database, JobVersions(self.database, self.bulk)))
        object.__setattr__(self, "ledger", Ledger(self.bulk, self.settings.audit_days * DAY_S))
        object.__setattr__(self, "rates", Rates.of(self.settings))

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
