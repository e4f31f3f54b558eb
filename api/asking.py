"""One statement for all who ask for a job at the same moment; a job is written out once for each of its versions."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from chaos_store import watching
from chaos_store.engine import AsyncDatabase
from chaos_store.errors import NotFound
from chaos_store.watching import Key

from .answering import answering
from .conditional import Document
from .job_versions import JobVersions, Look
from .schemas.jobs import JobOut

WRITTEN_KEPT = 1000
JOBS_AT_ONCE = 500
LINGER_S = 0.25


class Written(NamedTuple):
    version: int
    document: Document


Asked = dict[Key, asyncio.Future[Written | None]]


@dataclass
class Asking:
    """Who comes while a statement is under way is answered by the next one, so that no answer is older than its
    question."""

    database: AsyncDatabase
    versions: JobVersions
    _waiting: Asked = field(default_factory=dict)
    _written: OrderedDict[Key, Written] = field(default_factory=OrderedDict)
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None
    _closing: bool = False

    async def job(self, project_id: str, job_id: str) -> Document:
        key = (project_id, job_id)
        answer = self._waiting.get(key)
        if answer is None:
            answer = self._waiting[key] = asyncio.get_running_loop().create_future()
        self._came.set()
        if self._task is None:
            self._task = asyncio.create_task(self._go_on())
        found = await asyncio.shield(answer)
        if found is None:
            raise NotFound(f"There is no job {job_id}.", kind="job", id=job_id)
        return found.document

    async def close(self) -> None:
        """Before the databases: what it looks by is given back first."""
        self._closing = True
        self._came.set()
        if self._task is not None:
            await self._task

    async def _go_on(self) -> None:
        try:
            while self._waiting:
                await self._answer_all()
        finally:
            self._task = None

    async def _answer_all(self) -> None:
        """In one go for as long as somebody asks, and a moment longer."""
        asked: Asked = {}
        try:
            with answering():
                async with self.versions.looking() as look:
                    while await self._is_asked():
                        asked = self._next()
                        await self._look(look, list(asked))
                        for key, answer in asked.items():
                            answer.set_result(self._written.get(key))
                        asked = {}
        except Exception as error:
            for answer in (asked or self._next()).values():
                if not answer.done():
                    answer.set_exception(error)

    async def _is_asked(self) -> bool:
        if not self._waiting and not self._closing:
            self._came.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self._came.wait()
        return bool(self._waiting)

    def _next(self) -> Asked:
        keys = list(islice(self._waiting, JOBS_AT_ONCE))
        return {key: self._waiting.pop(key) for key in keys}

    async def _look(self, look: Look, keys: Sequence[Key]) -> None:
        versions = await look(keys)
        for key in keys:
            if key not in versions:
                self._written.pop(key, None)
        changed = [key for key, version in versions.items() if self._version(key) != version]
        if changed:
            await self._write(changed)

    def _version(self, key: Key) -> int:
        written = self._written.get(key)
        return -1 if written is None else written.version

    async def _write(self, keys: Sequence[Key]) -> None:
        async with self.database.read() as session:
            found = (await session.execute(watching.whole(keys))).all()
        for key in keys:
            self._written.pop(key, None)
        for job, trajectory_id in found:
            document = Document.of(JobOut.of(job, trajectory_id))
            self._written[job.project_id, job.id] = Written(job.version, document)
        while len(self._written) > max(WRITTEN_KEPT, len(keys)):
            self._written.popitem(last=False)
