"""From bytes that have arrived to a dataset: read at once where they are few, else by a job."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from chaos_store import jobs
from chaos_store.blobs import BlobRef, unpublished
from chaos_store.datasets import Facts
from chaos_store.states import Kind
from chaos_store.tables import Dataset, Job

from .answering import answering
from .context import Caller, Context
from .parsing import parse
from .storing import BLOBS, WHOLE_BYTES, facts_of, pieces

Keep = Callable[[Session, Facts | None], Dataset | None]
"""Writes the dataset, `processing` without facts; None where somebody else has done it."""


@dataclass(frozen=True)
class Arrived:
    """Chunks that no blob shows yet, and how they are to be read."""

    context: Context
    content: str
    ref: BlobRef
    filename: str
    words: dict[str, Any]

    def reader_words(self) -> dict[str, Any]:
        return self.words

    def copy_to(self, path: Path) -> None:
        with answering(), path.open("wb") as copy:
            for chunk in unpublished(self.context.bulk, self.content):
                copy.write(chunk)


async def settle(context: Context, caller: Caller, arrived: Arrived, keep: Keep) -> tuple[Dataset | None, Job | None]:
    if arrived.ref.size > context.settings.inline_upload_bytes:
        return await asyncio.to_thread(_keep_unread, context, caller, keep)
    with tempfile.TemporaryDirectory(prefix="chaos-upload-") as name:
        folder = Path(name)
        facts = await parse(context, arrived, folder)
        return await asyncio.to_thread(_keep_read, context, folder / "series.npz", facts, keep), None


def _keep_read(context: Context, series: Path, facts: dict[str, Any], keep: Keep) -> Dataset | None:
    with answering(), series.open("rb") as npz:
        small = series.stat().st_size <= WHOLE_BYTES
        stored = None if small else BLOBS.store(context.bulk, pieces(npz))
        with context.bulk.write.begin() as session:
            parsed = stored or BLOBS.put(session, pieces(npz))
            return keep(session, facts_of(facts, parsed.sha256))


def _keep_unread(context: Context, caller: Caller, keep: Keep) -> tuple[Dataset | None, Job | None]:
    with answering(), context.bulk.write.begin() as session:
        dataset = keep(session, None)
        return dataset, None if dataset is None else ingest(session, context, caller, dataset.id)


def ingest(session: Session, context: Context, caller: Caller, dataset_id: str) -> Job:
    """The job that reads the file."""
    return jobs.create(
        session,
        project_id=caller.project_id,
        kind=Kind.ingest,
        dataset_id=dataset_id,
        max_attempts=context.settings.max_attempts,
        max_queued=context.settings.max_queued_jobs,
    )
