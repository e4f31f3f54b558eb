"""Puts an upload into the database: bytes as they came, and the series read from them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from chaos_store import datasets, jobs
from chaos_store.blobs import CHUNK_BYTES, BlobRef, DatabaseBlobs
from chaos_store.states import Kind
from chaos_store.tables import Dataset, Job

from .answering import answering
from .context import Caller, Context
from .uploads import Upload

BLOBS = DatabaseBlobs()
WHOLE_BYTES = 4 * CHUNK_BYTES
"""More is stored in short transactions: heartbeats of running jobs must not wait for an upload."""


def store_parsed(context: Context, caller: Caller, upload: Upload, series: Path, facts: dict[str, Any]) -> Dataset:
    with answering(), series.open("rb") as npz:
        if upload.size <= WHOLE_BYTES:
            with context.bulk.write.begin() as session:
                content, parsed = (BLOBS.put(session, pieces(file)) for file in (upload.file.file, npz))
                return _dataset(session, caller, upload, content, facts_of(facts, parsed.sha256))
        content, parsed = (BLOBS.store(context.bulk, pieces(file)) for file in (upload.file.file, npz))
        with context.bulk.write.begin() as session:
            return _dataset(session, caller, upload, content, facts_of(facts, parsed.sha256))


def store_unparsed(context: Context, caller: Caller, upload: Upload) -> tuple[Dataset, Job]:
    with answering():
        content = BLOBS.store(context.bulk, pieces(upload.file.file))
        with context.bulk.write.begin() as session:
            dataset = _dataset(session, caller, upload, content, None)
            job = jobs.create(
                session,
                project_id=caller.project_id,
                kind=Kind.ingest,
                dataset_id=dataset.id,
                max_attempts=context.settings.max_attempts,
                max_queued=context.settings.max_queued_jobs,
            )
            return dataset, job


def _dataset(
    session: Session, caller: Caller, upload: Upload, content: BlobRef, facts: datasets.Facts | None
) -> Dataset:
    return datasets.create(
        session,
        project_id=caller.project_id,
        name=upload.name,
        content=content,
        options=upload.reader_words(),
        split=upload.options.stored_split(),
        facts=facts,
    )


def facts_of(read: dict[str, Any], series_sha256: str) -> datasets.Facts:
    return datasets.Facts(
        format=read["format"],
        series_sha256=series_sha256,
        rows=read["rows"],
        channels=read["channels"],
        names=read["names"],
        dt=read["dt"],
        missing_count=read["missing_count"],
        stretches=read["stretches"],
        input_names=read["input_names"],
    )


def pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(CHUNK_BYTES):
        yield piece
