"""Bytes that change in the store, and disks without room."""

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from sqlalchemy import func, select, update

from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import open_database
from chaos_store.errors import BlobCorrupt, NotFound
from chaos_store.tables import Blob, BlobChunk, Checkpoint, Dataset
from tests.e2e.conftest import lorenz, npy
from tests.torture.faults.killing import training_runner
from tests.torture.processes import until
from tests.torture.scene import LONG, Scene

TRIES = 10


def flip(stage: Scene, sha256: str, offset: int = 1000) -> None:
    """One bit of the stored bytes turned over; a second call turns it back."""
    database = open_database(stage.deployment.settings)
    try:
        with database.write.begin() as session:
            content = session.scalar(select(Blob.content).where(Blob.sha256 == sha256))
            where = (BlobChunk.content == content, BlobChunk.idx == 0)
            data = bytearray(session.scalar(select(BlobChunk.data).where(*where)) or b"")
            data[min(offset, len(data) - 1)] ^= 1
            session.execute(update(BlobChunk).where(*where).values(data=bytes(data)))
    finally:
        database.dispose()


def blobflip(stage: Scene) -> None:
    """A damaged checkpoint is passed over for the one before; a damaged model is refused by name; doctor finds both."""
    stage.load.make_reference(LONG, 0)
    job_id = stage.train(LONG)
    skipped = _damage_newest_checkpoint(stage, job_id)
    job = stage.client.finish(job_id, 300)
    stage.ledger.fact("checkpoint passed over", skipped)
    stage.ledger.must_be_empty("the job after it", [] if job["status"] == "succeeded" else [str(job["error"])])
    model = stage.client.get(f"/v1/models/{job['model_id']}")
    flip(stage, model["sha256"])
    answer = stage.client.look(f"/v1/models/{model['id']}/content")
    stage.ledger.fact("download of a damaged model", answer)
    stage.ledger.must_be_empty("damaged model sent", [] if "blob_corrupt" in answer else [answer])
    told = stage.deployment.run("chaos_store", "doctor", "--deep", check=False)
    stage.ledger.fact("doctor --deep ends with", told.returncode)
    named = told.returncode == 1 and model["sha256"][:12] in told.stdout
    stage.ledger.must_be_empty("doctor did not find it", [] if named else [(told.stdout + told.stderr)[-400:]])
    flip(stage, model["sha256"])
    stage.close_books()


def _damage_newest_checkpoint(stage: Scene, job_id: str) -> str:
    """Flips and kills until an attempt has met the damage: a newer checkpoint may come in between."""
    for number in range(1, TRIES + 1):
        stage.wait_training(job_id)
        saved = stage.count(job_id, "checkpoint")
        until(lambda saved=saved: stage.count(job_id, "checkpoint") > saved + 1, 60, "two more checkpoints")
        runner, newest = training_runner(stage, job_id), _newest_checkpoint(stage, job_id)
        flip(stage, newest.sha256)
        runner.kill()
        until(lambda number=number: stage.client.job(job_id)["attempt"] > number, 60, "the next attempt")
        stage.wait_training(job_id)
        _mend(stage, newest.sha256)
        met = [event["data"] for event in stage.events(job_id) if event["type"] == "checkpoint_skipped"]
        if met:
            return f"update {newest.update}: {met[0].get('code', met[0])} (try {number})"
    raise AssertionError("no attempt met the damaged checkpoint")


def _newest_checkpoint(stage: Scene, job_id: str) -> Checkpoint:
    database = open_database(stage.deployment.settings)
    try:
        with database.read() as session:
            newest = select(Checkpoint).where(Checkpoint.job_id == job_id).order_by(Checkpoint.update.desc())
            return session.scalars(newest.limit(1)).one()
    finally:
        database.dispose()


def _mend(stage: Scene, sha256: str) -> None:
    """Turned back where it is still there and still damaged: it may have been stored anew, or collected."""
    database = open_database(stage.deployment.settings)
    try:
        with database.read() as session:
            DatabaseBlobs().verify(session, sha256)
    except BlobCorrupt:
        flip(stage, sha256)
    except NotFound:
        pass
    finally:
        database.dispose()


def diskfull(stage: Scene) -> None:
    """No room during checkpoints and an upload: a clear answer, a living service; with room again, all goes on."""
    room = stage.deployment.small_disk
    if room is None:
        stage.ledger.fact("skipped", stage.deployment.no_small_disk)
        return
    stage.load.make_reference(LONG, 0)
    job_id = stage.train(LONG)
    stage.wait_training(job_id)
    with ballast(room):
        before = _datasets(stage)
        answer = _try_upload(stage, "no-room")
        time.sleep(8)
        job = stage.client.job(job_id)
        stage.ledger.fact("upload without room", answer)
        stage.ledger.fact("the training meanwhile", f"{job['status']} ({job['stage']}), attempt {job['attempt']}")
        ready = stage.client.look("/livez")
        stage.ledger.must_be_empty("upload not refused by name", [] if "storage_full" in answer else [answer])
        stage.ledger.must_be_empty("service dead", [] if ready.startswith("200") else [ready])
        stage.ledger.must_be_empty("rows of the refused upload", [] if _datasets(stage) == before else ["a dataset"])
    began = time.monotonic()
    until(lambda: _try_upload(stage, "room-again").startswith("20"), 60, "an upload is taken again")
    stage.load.adopt("room-again")
    stage.ledger.fact("seconds until an upload is taken again", f"{time.monotonic() - began:.1f}")
    stage.load.drain(60)
    job = stage.client.finish(job_id, 300)
    stage.ledger.fact("the training", f"{job['status']}, attempt {job['attempt']}")
    stage.close_books(rows=False)


@contextlib.contextmanager
def ballast(folder: Path) -> Iterator[None]:
    """Takes all the room there is, and what is given back meanwhile too."""
    path = folder / "ballast"
    subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=64k"], capture_output=True, check=False)
    subprocess.run(["dd", "if=/dev/zero", f"of={path}2", "bs=1k"], capture_output=True, check=False)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        Path(f"{path}2").unlink(missing_ok=True)


def _datasets(stage: Scene) -> int:
    database = open_database(stage.deployment.settings)
    try:
        with database.read() as session:
            return int(session.scalar(select(func.count()).select_from(Dataset)) or 0)
    finally:
        database.dispose()


def _try_upload(stage: Scene, name: str) -> str:
    """About a megabyte, read later by a worker."""
    content = npy(lorenz(2000).repeat(20, axis=0))
    try:
        return stage.client.look(
            "/v1/datasets", files={"file": ("big.npy", content)}, data={"name": name, "dt": "0.05"}
        )
    except httpx.TransportError as error:
        return f"broken off: {error}"
