"""How often a key and its project may ask, told in the headers RateLimit and RateLimit-Policy."""

import logging
import math
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, RedisStorage, Storage
from redis.exceptions import RedisError

from chaos_store.settings import Settings

from .errors import RateLimited

PATIENCE_S = 0.25
AWAY_S = 5.0
PREFIX = "chaos:rates"

log = logging.getLogger("api")


class Window(NamedTuple):
    """What is left of a policy."""

    name: str
    limit: RateLimitItem
    remaining: int
    reset_s: int
    passed: bool

    def policy(self) -> str:
        return f'"{self.name}";q={self.limit.amount};w={self.limit.get_expiry()}'

    def state(self) -> str:
        return f'"{self.name}";r={self.remaining};t={self.reset_s}'


@dataclass
class Rates:
    """Fixed windows. What counts them may be away: then everything passes, and the log says so once."""

    storage: Storage
    key_limit: RateLimitItem | None = None
    project_limit: RateLimitItem | None = None
    _away_until: float = field(default=-math.inf, init=False)
    _complained: bool = field(default=False, init=False)

    @classmethod
    def of(cls, settings: Settings) -> "Rates":
        limits = [parse(text) if text else None for text in (settings.rate_limit, settings.project_rate_limit)]
        return cls(_storage(settings), *limits)

    async def take(self, project_id: str, key_id: str) -> list[Window]:
        """Counts a request; no window where nothing is limited."""
        wanted = (("default", self.key_limit, key_id), ("project", self.project_limit, project_id))
        if (self.key_limit is None and self.project_limit is None) or time.monotonic() < self._away_until:
            return []
        try:
            found = [await self._count(name, limit, who) for name, limit, who in wanted if limit is not None]
        except (RedisError, OSError) as error:
            self._away_until = time.monotonic() + AWAY_S
            if not self._complained:
                log.warning("requests are not counted: %s", error)
            self._complained = True
            return []
        self._complained = False
        return found

    async def close(self) -> None:
        if isinstance(self.storage, RedisStorage):
            await self.storage.bridge.get_connection().aclose()  # type: ignore[attr-defined]

    async def _count(self, name: str, limit: RateLimitItem, who: str) -> Window:
        key = limit.key_for(name, who)
        count = await self.storage.incr(key, limit.get_expiry())
        reset_s = max(0, math.ceil(await self.storage.get_expiry(key) - time.time()))
        return Window(name, limit, max(0, limit.amount - count), reset_s, count <= limit.amount)


def headers(windows: list[Window]) -> dict[str, str]:
    if not windows:
        return {}
    return {
        "RateLimit-Policy": ", ".join(window.policy() for window in windows),
        "RateLimit": ", ".join(window.state() for window in windows),
    }


def refuse(windows: list[Window]) -> None:
    """RateLimited where a window is full."""
    full = [window for window in windows if not window.passed]
    if full:
        last = max(full, key=lambda window: window.reset_s)
        whose = "this key" if last.name == "default" else "this project"
        detail = f"{last.limit.amount} requests of {whose} in {last.limit.get_expiry()} s"
        raise RateLimited(detail, limit=last.limit.amount, retry_after_s=max(1, last.reset_s))


def _storage(settings: Settings) -> Storage:
    if settings.rate_limit_storage == "memory":
        return MemoryStorage()
    address = settings.broker_url.replace("redis+socket://", "redis+unix://", 1)
    return RedisStorage(
        f"async+{address}",
        implementation="redispy",
        key_prefix=PREFIX,
        socket_connect_timeout=PATIENCE_S,
        socket_timeout=PATIENCE_S,
    )
