"""Checkpoints: states of a training to go on from. The newest few stay, and the one with the best state so far."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Select, case, delete, func, or_, select
from sqlalchemy import update as change
from sqlalchemy.orm import Session

from .blobs import BlobRef
from .engine import insert_for, now
from .tables import Checkpoint, Job, Metric, new_id
from .transitions import Claim, hold, record, write

__all__ = ["BestModel", "existing", "get", "mark_damaged", "of_job", "resume_from", "save", "usable"]

QUIETLY = {"synchronize_session": False}


class BestModel(NamedTuple):
    """The tensors of the best state, and what its artifact and its trained model would say."""

    blob: BlobRef
    artifact: Mapping[str, str]
    trained: Mapping[str, Any]


def save(
    session: Session,
    claim: Claim,
    blob: BlobRef,
    update: int,
    *,
    best: bool,
    keep: int,
    model: BestModel | None = None,
) -> None:
    """Points to bytes that are already stored; a later update than before starts the count of attempts anew."""
    hold(session, claim)
    mine = Checkpoint.job_id == claim.job_id
    if best:
        session.execute(change(Checkpoint).where(mine).values(best=False), execution_options=QUIETLY)
    _insert(session, claim, blob, update, best, model)
    newest = session.scalars(usable(claim.job_id).with_only_columns(Checkpoint.update).limit(keep)).all()
    beyond = delete(Checkpoint).where(mine, Checkpoint.update < newest[-1], Checkpoint.best.is_(False))
    session.execute(beyond, execution_options=QUIETLY)
    later = or_(Job.checkpoint_update.is_(None), Job.checkpoint_update < update)
    write(
        session,
        claim,
        checkpoint_update=newest[0],
        attempts_since_checkpoint=case((later, 0), else_=Job.attempts_since_checkpoint),
        version=Job.version + 1,
    )
    record(session, claim.job_id, "checkpoint", {"sha256": blob.sha256, "update": update, "best": best})


def get(project_id: str, checkpoint_id: str) -> Select[Checkpoint]:
    mine = select(Checkpoint).join(Job, Job.id == Checkpoint.job_id)
    return mine.where(Job.project_id == project_id, Checkpoint.id == checkpoint_id)


def existing(project_id: str, checkpoint_ids: Iterable[str]) -> Select[str]:
    mine = select(Checkpoint.id).join(Job, Job.id == Checkpoint.job_id).where(Job.project_id == project_id)
    return mine.where(Checkpoint.id.in_(list(checkpoint_ids)))


def usable(job_id: str) -> Select[Checkpoint]:
    """Those not known to be damaged, newest first."""
    mine = select(Checkpoint).where(Checkpoint.job_id == job_id, Checkpoint.damaged_at.is_(None))
    return mine.order_by(Checkpoint.update.desc())


def of_job(project_id: str, job_id: str) -> Select[Checkpoint]:
    """All of them, newest first."""
    mine = select(Checkpoint).join(Job, Job.id == Checkpoint.job_id)
    return mine.where(Job.project_id == project_id, Job.id == job_id).order_by(Checkpoint.update.desc())


def mark_damaged(session: Session, claim: Claim, update: int, problem: Mapping[str, Any]) -> None:
    """The run goes on from the checkpoint before; the event says why."""
    hold(session, claim)
    damaged = change(Checkpoint).where(Checkpoint.job_id == claim.job_id, Checkpoint.update == update)
    session.execute(damaged.values(damaged_at=now()), execution_options=QUIETLY)
    record(session, claim.job_id, "checkpoint_skipped", {**problem, "update": update})


def resume_from(session: Session, claim: Claim, update: int | None) -> None:
    """Forgets what came after the update from which the run goes on; after everything where it begins anew."""
    write(session, claim, checkpoint_update=update, version=Job.version + 1)
    last = -1 if update is None else update
    ahead = (Checkpoint.job_id == claim.job_id, Checkpoint.update > last, Checkpoint.damaged_at.is_(None))
    session.execute(delete(Checkpoint).where(*ahead), execution_options=QUIETLY)
    measured = (Metric.job_id == claim.job_id, Metric.step > last)
    session.execute(delete(Metric).where(*measured), execution_options=QUIETLY)


def _insert(session: Session, claim: Claim, blob: BlobRef, update: int, best: bool, model: BestModel | None) -> None:
    """The same update again is the same state: it stays the best, and its bytes are whole again."""
    statement = insert_for(session, Checkpoint).values(
        id=new_id("ckpt"),
        job_id=claim.job_id,
        update=update,
        sha256=blob.sha256,
        size=blob.size,
        best=best,
        model_sha256=None if model is None else model.blob.sha256,
        model=None if model is None else {"artifact": dict(model.artifact), "trained": dict(model.trained)},
        created_at=now(),
    )
    changes = {
        "sha256": statement.excluded.sha256,
        "size": statement.excluded.size,
        "best": or_(Checkpoint.best, statement.excluded.best),
        "model_sha256": func.coalesce(statement.excluded.model_sha256, Checkpoint.model_sha256),
        "model": func.coalesce(statement.excluded.model, Checkpoint.model),
        "damaged_at": None,
        "created_at": now(),
    }
    session.execute(statement.on_conflict_do_update(index_elements=["job_id", "update"], set_=changes))
