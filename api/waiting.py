import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from .context import Context

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.25

Value = TypeVar("Value")


async def until(
    context: Context, seconds: float, load: Callable[[], Awaitable[Value]], finished: Callable[[Value], bool]
) -> Value:
    deadline = time.monotonic() + min(seconds, context.settings.max_wait_s)
    pause = FIRST_PAUSE_S
    while True:
        value = await load()
        left = deadline - time.monotonic()
        if finished(value) or left <= 0 or context.stopping.is_set():
            return value
        await asyncio.sleep(min(pause, left))
        pause = min(LONGEST_PAUSE_S, pause * 1.5)
