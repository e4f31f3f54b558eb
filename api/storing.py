"""Puts an upload into the database: bytes as they came, and the series read from them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from chaos_store import datasets, jobs
from chaos_store.blobs import CHUNK_BYTES, DatabaseBlobs
from chaos_store.states import Kind
from chaos_store.tables import Dataset, Job

from .answering import answering
from .context import Caller, Context
from .uploads import Upload


def store_parsed(context: Context, caller: Caller, upload: Upload, series: Path, facts: dict[str, Any]) -> Dataset:
    blobs = DatabaseBlobs()
    with answering(), context.bulk.write.begin() as session, series.open("rb") as npz:
        content = blobs.put(session, _pieces(upload.file.file))
        known = _facts(facts, blobs.put(session, _pieces(npz)).sha256)
        return datasets.create(
            session,
            project_id=caller.project_id,
            name=upload.name,
            content=content,
            options=upload.reader_words(),
            facts=known,
        )


def store_unparsed(context: Context, caller: Caller, upload: Upload) -> tuple[Dataset, Job]:
    with answering():
        content = DatabaseBlobs().store(context.bulk, _pieces(upload.file.file))
        with context.bulk.write.begin() as session:
            dataset = datasets.create(
                session,
                project_id=caller.project_id,
                name=upload.name,
                content=content,
                options=upload.reader_words(),
            )
            job = jobs.create(
                session,
                project_id=caller.project_id,
                kind=Kind.ingest,
                dataset_id=dataset.id,
                max_attempts=context.settings.max_attempts,
                max_queued=context.settings.max_queued_jobs,
            )
            return dataset, job


def _facts(read: dict[str, Any], series_sha256: str) -> datasets.Facts:
    return datasets.Facts(
        format=read["format"],
        series_sha256=series_sha256,
        rows=read["rows"],
        channels=read["channels"],
        names=read["names"],
        dt=read["dt"],
        missing_count=read["missing_count"],
        stretches=read["stretches"],
    )


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(CHUNK_BYTES):
        yield piece
