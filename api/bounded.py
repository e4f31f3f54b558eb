"""Work that may hang: done once at a time, whoever asks, and waited for no longer than so long."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Outcome = TypeVar("Outcome")


class Bounded(Generic[Outcome]):
    """Who asks while the work is under way gets its outcome; what takes too long goes on, and nothing is piled up."""

    def __init__(self, work: Callable[[], Awaitable[Outcome]], timeout_s: float) -> None:
        self._work = work
        self._timeout_s = timeout_s
        self._task: asyncio.Task[Outcome] | None = None

    async def ask(self) -> Outcome:
        """TimeoutError where it takes too long."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._begin())
            self._task.add_done_callback(_look_at)
        done, _ = await asyncio.wait({self._task}, timeout=self._timeout_s)
        if not done:
            raise TimeoutError
        return self._task.result()

    async def close(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=self._timeout_s)

    async def _begin(self) -> Outcome:
        return await self._work()


def _look_at(task: asyncio.Task[Outcome]) -> None:
    """An error that nobody waits for any more needs no warning."""
    if not task.cancelled():
        task.exception()
