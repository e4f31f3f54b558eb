"""One statement for all who ask for a job at the same moment; a job is written out once for each of its versions."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from chaos_store import watching
from chaos_store.engine import AsyncDatabase
from chaos_store.errors import NotFound

from .answering import answering
from .conditional import Document
from .schemas.jobs import JobOut

WRITTEN_KEPT = 1000
JOBS_AT_ONCE = 500


class Written(NamedTuple):
    project_id: str
    version: int
    document: Document


Asked = dict[str, asyncio.Future[Written | None]]


@dataclass
class Asking:
    """Who comes while a statement is under way is answered by the next one, so that no answer is older than its
    question."""

    database: AsyncDatabase
    _waiting: Asked = field(default_factory=dict)
    _written: OrderedDict[str, Written] = field(default_factory=OrderedDict)
    _task: asyncio.Task[None] | None = None

    async def job(self, project_id: str, job_id: str) -> Document:
        answer = self._waiting.get(job_id)
        if answer is None:
            answer = self._waiting[job_id] = asyncio.get_running_loop().create_future()
        if self._task is None:
            self._task = asyncio.create_task(self._go_on())
        found = await asyncio.shield(answer)
        if found is None or found.project_id != project_id:
            raise NotFound(f"There is no job {job_id}.", kind="job", id=job_id)
        return found.document

    async def _go_on(self) -> None:
        try:
            while self._waiting:
                await self._answer_all()
        finally:
            self._task = None

    async def _answer_all(self) -> None:
        """By one connection for as long as somebody asks."""
        asked: Asked = {}
        try:
            with answering():
                async with self.database.reader.connect() as connection:
                    while self._waiting:
                        asked = self._next()
                        await self._look(connection, list(asked))
                        for job_id, answer in asked.items():
                            answer.set_result(self._written.get(job_id))
        except Exception as error:
            for answer in (asked or self._next()).values():
                if not answer.done():
                    answer.set_exception(error)

    def _next(self) -> Asked:
        ids = list(islice(self._waiting, JOBS_AT_ONCE))
        return {job_id: self._waiting.pop(job_id) for job_id in ids}

    async def _look(self, connection: AsyncConnection, job_ids: Sequence[str]) -> None:
        rows = (await connection.execute(watching.versions(job_ids))).all()
        versions = {row.id: row.version for row in rows}
        changed = [job_id for job_id in job_ids if self._version(job_id) != versions.get(job_id, -1)]
        if changed:
            await self._write(changed)

    def _version(self, job_id: str) -> int:
        written = self._written.get(job_id)
        return -1 if written is None else written.version

    async def _write(self, job_ids: Sequence[str]) -> None:
        async with self.database.read() as session:
            found = (await session.execute(watching.whole(job_ids))).all()
        for job_id in job_ids:
            self._written.pop(job_id, None)
        for job, trajectory_id in found:
            document = Document.of(JobOut.of(job, trajectory_id))
            self._written[job.id] = Written(job.project_id, job.version, document)
        while len(self._written) > max(WRITTEN_KEPT, len(job_ids)):
            self._written.popitem(last=False)
