"""Projects and their keys; of a key only the sha256 is stored."""

import hashlib
import secrets

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from .engine import now
from .tables import ApiKey, Project

__all__ = ["create_project", "find", "first", "issue", "keep_for", "revoke"]

PREFIX = "chaos_"
FIRST_PROJECT = "default"


def create_project(session: Session, name: str) -> Project:
    project = Project(name=name)
    session.add(project)
    session.flush()
    return project


def keep_for(session: Session, seconds: float | None, project_id: str | None = None) -> int:
    """Finished jobs of the project, or of all, are kept for so long, None being for ever; how many projects."""
    projects = update(Project).values(retention_s=seconds).returning(Project.id)
    if project_id is not None:
        projects = projects.where(Project.id == project_id)
    return len(session.scalars(projects, execution_options={"synchronize_session": False}).all())


def issue(session: Session, project_id: str, name: str) -> tuple[ApiKey, str]:
    """A new key and its secret, which cannot be read again."""
    secret = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(project_id=project_id, name=name, secret_sha256=_digest(secret))
    session.add(key)
    session.flush()
    return key, secret


def find(secret: str) -> Select[ApiKey]:
    return select(ApiKey).where(ApiKey.secret_sha256 == _digest(secret), ApiKey.revoked_at.is_(None))


def revoke(session: Session, project_id: str, key_id: str) -> bool:
    """Whether there was such a key to revoke."""
    mine = update(ApiKey).where(ApiKey.project_id == project_id, ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
    returning = mine.values(revoked_at=now()).returning(ApiKey.id)
    return session.execute(returning, execution_options={"synchronize_session": False}).first() is not None


def first(session: Session, *, force: bool = False) -> str | None:
    """The secret of the first key, None where there is one already and none was forced."""
    if not force and session.scalar(select(func.count()).select_from(ApiKey).where(ApiKey.revoked_at.is_(None))):
        return None
    oldest = select(Project).order_by(Project.created_at, Project.id).limit(1)
    project = session.scalar(oldest) or create_project(session, FIRST_PROJECT)
    return issue(session, project.id, "first")[1]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
