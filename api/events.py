"""Events of a job as they happen: `text/event-stream`, resumed by `Last-Event-ID`, ended with the job."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress

from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from chaos_store import jobs

from .context import Caller, Context
from .watching import Watched, frame

MEDIA_TYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
HEARTBEAT_S = 15.0
OLD_AT_ONCE = 200
OPENING = b"retry: 2000\n\n"
HEARTBEAT = b": the job goes on\n\n"


def is_wanted(accept: str) -> bool:
    return any(part.partition(";")[0].strip().lower() == MEDIA_TYPE for part in accept.split(","))


async def stream(context: Context, caller: Caller, job_id: str, after: int) -> Response:
    """204 where the job has finished and nothing is left to tell: then an EventSource does not come again."""
    with ExitStack() as stack:
        one = stack.enter_context(context.watch.listening(job_id))
        one.follow(after)
        await context.watch.seen(one, caller.project_id)
        if one.finished and one.complete and one.last_seq() <= after:
            return Response(status_code=204)
        return EventStream(_frames(context, caller, one, after), stack.pop_all())


class EventStream(StreamingResponse):
    """Stops listening however the answer ends, also before its first byte."""

    def __init__(self, frames: AsyncIterator[bytes], listening: ExitStack) -> None:
        super().__init__(frames, headers=HEADERS, media_type=MEDIA_TYPE)
        self.listening = listening

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.listening:
            await super().__call__(scope, receive, send)


async def _frames(context: Context, caller: Caller, one: Watched, after: int) -> AsyncIterator[bytes]:
    yield OPENING
    while True:
        changed = one.changed
        found = await _older(context, caller, one, after) or [item for item in one.frames if item[0] > after]
        if found:
            after = found[-1][0]
            yield b"".join(text for _, text in found)
        elif (one.finished and one.complete) or context.stopping.is_set():
            return
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await changed.wait()
                    continue
            yield HEARTBEAT


async def _older(context: Context, caller: Caller, one: Watched, after: int) -> list[tuple[int, bytes]]:
    """Events that are no longer, or not yet, kept for all."""
    floor = one.floor or 0
    if after >= floor:
        return []
    statement = jobs.events(caller.project_id, one.job_id, after=after, limit=OLD_AT_ONCE)
    async with context.read() as session:
        return [frame(row) for row in (await session.scalars(statement)).all()]
