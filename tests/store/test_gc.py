"""What nobody needs goes, and nothing else, whatever else happens at the same time."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from chaos_store import artifacts, commands, datasets, gc, jobs, trained, trajectories
from chaos_store.blobs import CHUNK_BYTES, BlobRef, DatabaseBlobs
from chaos_store.engine import Database, now
from chaos_store.errors import DatasetInUse, NotFound, StoreError
from chaos_store.states import State
from chaos_store.tables import (
    Artifact,
    Base,
    Blob,
    BlobChunk,
    Checkpoint,
    Dataset,
    Job,
    Project,
    TrainedModel,
    Trajectory,
)

NewJob = Callable[..., str]
HOUR_S = 3600.0
QUIETLY = {"synchronize_session": False}


@pytest.fixture
def age(database: Database) -> Callable[[], None]:
    """Makes all bytes two hours older."""

    def move() -> None:
        with database.write.begin() as session:
            for table in (Blob, BlobChunk):
                older = update(table).values(created_at=table.created_at - 2 * HOUR_S)
                session.execute(older, execution_options=QUIETLY)

    return move


def _store(database: Database, data: bytes) -> BlobRef:
    return DatabaseBlobs().store(database, [data])


def _count(database: Database, table: type[Base]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def _finish(database: Database, job_id: str, state: State = State.succeeded) -> None:
    with database.write.begin() as session:
        done = update(Job).where(Job.id == job_id).values(status=state.value, finished_at=now())
        session.execute(done, execution_options=QUIETLY)


def _model(database: Database, project_id: str, dataset_id: str, job_id: str, data: bytes = b"weights") -> TrainedModel:
    """A trained model with one trajectory, and a checkpoint of its job."""
    weights, run, state = (_store(database, data + part) for part in (b"", b" run", b" state"))
    common = {"project_id": project_id, "job_id": job_id, "media_type": "application/octet-stream"}
    with database.write.begin() as session:
        file = artifacts.create(session, kind="model", name="model.safetensors", blob=weights, **common)
        made = trained.create(
            session, artifact=file, dataset_id=dataset_id, name="m", config={}, parameter_count=1, plan_hash=None
        )
        free = artifacts.create(session, kind="trajectory", name="trajectory.npz", blob=run, **common)
        trajectories.create(session, artifact=free, model_id=made.id, steps=1, channels=1)
        session.add(Checkpoint(job_id=job_id, update=1, sha256=state.sha256, size=state.size))
        session.execute(update(Job).where(Job.id == job_id).values(model_id=made.id), execution_options=QUIETLY)
    return made


def test_unused_bytes_go_when_they_are_old_and_used_ones_stay(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob, age: Callable[[], None]
) -> None:
    _model(database, project_id, dataset_id, new_job())
    unused = _store(database, b"u" * (40 * CHUNK_BYTES + 5))
    before = _count(database, BlobChunk)
    assert gc.collect(database, grace_s=HOUR_S) == gc.Collected()
    age()
    young = _store(database, b"young")
    assert gc.collect(database, grace_s=HOUR_S) == gc.Collected(blobs=1, bytes=unused.size)
    assert _count(database, BlobChunk) == before - 41 + 1
    with database.read() as session:
        kept = list(session.scalars(select(Blob.sha256)))
        assert len(kept) == 5 and young.sha256 in kept
        for sha256 in kept:
            DatabaseBlobs().verify(session, sha256)


def test_more_unused_blobs_than_fit_in_one_transaction_all_go(database: Database, age: Callable[[], None]) -> None:
    with database.write.begin() as session:
        for index in range(gc.BLOBS_PER_TRANSACTION + 7):
            DatabaseBlobs().put(session, [str(index).encode()])
    age()
    assert gc.collect(database, grace_s=HOUR_S).blobs == gc.BLOBS_PER_TRANSACTION + 7
    assert (_count(database, Blob), _count(database, BlobChunk)) == (0, 0)


def test_chunks_of_an_upload_broken_off_go_when_the_newest_is_old(database: Database, age: Callable[[], None]) -> None:
    def breaks_off() -> Iterator[bytes]:
        yield b"x" * (9 * CHUNK_BYTES)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        DatabaseBlobs().store(database, breaks_off())
    assert _count(database, BlobChunk) == 8
    assert gc.collect(database, grace_s=HOUR_S).broken_uploads == 0
    age()
    assert gc.collect(database, grace_s=HOUR_S) == gc.Collected(broken_uploads=1)
    assert _count(database, BlobChunk) == 0


def test_an_upload_that_goes_on_is_left_alone_however_old_its_beginning(
    database: Database, age: Callable[[], None]
) -> None:
    def slow() -> Iterator[bytes]:
        yield b"a" * (9 * CHUNK_BYTES)
        age()
        yield b"b" * (8 * CHUNK_BYTES)
        assert gc.collect(database, grace_s=HOUR_S) == gc.Collected()
        yield b"c"

    ref = DatabaseBlobs().store(database, slow())
    with database.read() as session:
        DatabaseBlobs().verify(session, ref.sha256)


def test_an_upload_that_paused_too_long_is_refused_and_never_seen_with_a_hole(
    database: Database, age: Callable[[], None]
) -> None:
    def pauses() -> Iterator[bytes]:
        yield b"a" * (9 * CHUNK_BYTES)
        age()
        assert gc.collect(database, grace_s=HOUR_S).broken_uploads == 1
        yield b"b"

    with pytest.raises(StoreError, match="paused for so long"):
        DatabaseBlobs().store(database, pauses())
    assert _count(database, Blob) == 0
    age()
    gc.collect(database, grace_s=HOUR_S)
    assert _count(database, BlobChunk) == 0


def test_the_same_bytes_sent_again_are_young_again(database: Database, age: Callable[[], None]) -> None:
    ref = _store(database, b"twice")
    age()
    assert _store(database, b"twice") == ref
    assert gc.collect(database, grace_s=HOUR_S).blobs == 0
    with database.read() as session:
        DatabaseBlobs().verify(session, ref.sha256)


@pytest.mark.parametrize("fault", ["flipped", "missing"])
def test_damaged_bytes_are_healed_by_storing_the_right_ones_again(database: Database, fault: str) -> None:
    data = b"m" * (2 * CHUNK_BYTES + 3)
    ref = _store(database, data)
    with database.write.begin() as session:
        chunk = session.scalars(select(BlobChunk).where(BlobChunk.idx == 1)).one()
        if fault == "missing":
            session.delete(chunk)
        else:
            chunk.data = b"M" + chunk.data[1:]
    assert _store(database, data) == ref
    with database.read() as session:
        DatabaseBlobs().verify(session, ref.sha256)
    assert (_count(database, Blob), _count(database, BlobChunk)) == (1, 3)


def test_uploads_of_the_same_bytes_beside_a_collector_without_grace_never_break(
    database: Database, project_id: str
) -> None:
    """The collector may take anything unused at once; a dataset that was made must be whole all the same."""
    stop = threading.Event()
    pieces = [bytes([letter]) * 3000 for letter in b"abc"]

    def upload(turn: int) -> str:
        with database.write.begin() as session:
            content = DatabaseBlobs().put(session, [pieces[turn % 3]])
            return datasets.create(session, project_id=project_id, name="d", content=content).id

    def drop(dataset_id: str) -> None:
        with database.write.begin() as session:
            datasets.delete(session, project_id, dataset_id)

    def collect() -> int:
        rounds = 0
        while not stop.is_set():
            gc.collect(database, grace_s=-1.0)
            rounds += 1
        return rounds

    def work(start: int) -> list[str]:
        kept = []
        for turn in range(start, start + 30):
            made = upload(turn)
            if turn % 5:
                drop(made)
            else:
                kept.append(made)
        return kept

    with ThreadPoolExecutor(3) as pool:
        collector = pool.submit(collect)
        try:
            kept = [made for done in list(pool.map(work, (0, 100))) for made in done]
        finally:
            stop.set()
        assert collector.result() > 0
    with database.read() as session:
        for dataset in session.scalars(select(Dataset)).all():
            DatabaseBlobs().verify(session, dataset.content_sha256)
            kept.remove(dataset.id)
    assert kept == []


def test_jobs_go_when_their_project_no_longer_keeps_them(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob, age: Callable[[], None]
) -> None:
    old, young, running = new_job(), new_job(), new_job()
    _model(database, project_id, dataset_id, old)
    for job_id in (old, young):
        _finish(database, job_id)
    with database.write.begin() as session:
        past = update(Job).where(Job.id == old).values(finished_at=now() - 100)
        session.execute(past, execution_options=QUIETLY)
    assert gc.collect(database, grace_s=HOUR_S).expired_jobs == 0
    with database.write.begin() as session:
        session.execute(update(Project).values(retention_s=50.0), execution_options=QUIETLY)
    age()
    assert gc.collect(database, grace_s=HOUR_S) == gc.Collected(blobs=3, bytes=31, expired_jobs=1)
    with database.read() as session:
        assert set(session.scalars(select(Job.id))) == {young, running}


def test_a_deleted_model_takes_its_files_along_and_leaves_its_job(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob, age: Callable[[], None]
) -> None:
    job_id, other = new_job(), new_job()
    model, kept = (_model(database, project_id, dataset_id, of, of.encode()) for of in (job_id, other))
    with database.write.begin() as session:
        trained.delete(session, project_id, model.id)
    with database.read() as session:
        assert session.scalars(select(TrainedModel.id)).all() == [kept.id]
        assert session.scalars(select(Trajectory.model_id)).all() == [kept.id]
        assert session.scalar(select(Job.model_id).where(Job.id == job_id)) is None
        assert set(session.scalars(select(Artifact.job_id))) == {other}
    age()
    assert gc.collect(database, grace_s=HOUR_S).blobs == 2
    for unknown in (model.id, "mdl_unknown"):
        with pytest.raises(NotFound), database.write.begin() as session:
            trained.delete(session, project_id, unknown)
    with pytest.raises(NotFound), database.write.begin() as session:
        trained.delete(session, "prj_other", kept.id)


def test_a_dataset_in_use_is_deleted_with_its_finished_jobs_only_when_asked(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob, age: Callable[[], None]
) -> None:
    job_id = new_job()
    _model(database, project_id, dataset_id, job_id)
    for cascade in (False, True):
        with pytest.raises(DatasetInUse) as refused, database.write.begin() as session:
            datasets.delete(session, project_id, dataset_id, cascade=cascade)
        assert refused.value.fields == {"dataset_id": dataset_id, "jobs": 1, "unfinished": 1}
    _finish(database, job_id)
    with pytest.raises(DatasetInUse) as refused, database.write.begin() as session:
        datasets.delete(session, project_id, dataset_id)
    assert refused.value.fields["unfinished"] == 0
    with pytest.raises(NotFound), database.write.begin() as session:
        datasets.delete(session, "prj_other", dataset_id, cascade=True)
    with database.write.begin() as session:
        datasets.delete(session, project_id, dataset_id, cascade=True)
    age()
    gc.collect(database, grace_s=HOUR_S)
    for table in (Dataset, Job, TrainedModel, Trajectory, Artifact, Checkpoint, Blob, BlobChunk):
        assert _count(database, table) == 0


def test_the_job_that_read_the_file_is_part_of_its_dataset(
    database: Database, project_id: str, dataset_id: str, new_job: NewJob
) -> None:
    job_id = new_job(kind="ingest")
    with pytest.raises(DatasetInUse), database.write.begin() as session:
        datasets.delete(session, project_id, dataset_id)
    _finish(database, job_id)
    with database.write.begin() as session:
        datasets.delete(session, project_id, dataset_id)
    assert (_count(database, Dataset), _count(database, Job)) == (0, 0)


def test_a_job_under_way_is_not_collected_even_if_it_began_long_ago(
    database: Database, project_id: str, new_job: NewJob
) -> None:
    job_id = new_job()
    with database.write.begin() as session:
        assert jobs.claim(session, job_id, "worker", 60.0) is not None
        commands.request_cancel(session, project_id, job_id)
        session.execute(update(Project).values(retention_s=0.0), execution_options=QUIETLY)
    assert gc.collect(database, grace_s=HOUR_S).expired_jobs == 0
    assert _count(database, Job) == 1
