"""Keys of projects; of a key only the sha256 is stored."""

import hashlib
import secrets
from collections.abc import Iterable
from typing import Unpack

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy.orm import Session

from .engine import now
from .paging import Place, window
from .scopes import ORDINARY
from .tables import ApiKey, Project

__all__ = [
    "create_project",
    "find",
    "first",
    "get",
    "issue",
    "keep_for",
    "known",
    "live",
    "page",
    "revoke",
    "touch",
]

PREFIX = "chaos_"
FIRST_PROJECT = "default"
TOUCH_S = 60.0
QUIETLY = {"synchronize_session": False}


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
    return len(session.scalars(projects, execution_options=QUIETLY).all())


def issue(
    session: Session,
    project_id: str,
    name: str,
    *,
    scopes: Iterable[str] = ORDINARY,
    expires_at: float | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which cannot be read again."""
    secret = PREFIX + secrets.token_urlsafe(32)
    allowed = [str(scope) for scope in scopes]
    key = ApiKey(project_id=project_id, name=name, secret_sha256=_digest(secret), scopes=allowed, expires_at=expires_at)
    session.add(key)
    session.flush()
    return key, secret


def find(secret: str) -> Select[ApiKey]:
    """The key, if it may still be used."""
    return live().where(ApiKey.secret_sha256 == _digest(secret))


def live() -> Select[ApiKey]:
    lasts = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now())
    return select(ApiKey).where(ApiKey.revoked_at.is_(None), lasts)


def known(secret: str) -> Select[ApiKey, float]:
    """The key, also one that is revoked or has expired, and the time."""
    return select(ApiKey, now()).where(ApiKey.secret_sha256 == _digest(secret))


def get(project_id: str, key_id: str) -> Select[ApiKey, float]:
    return select(ApiKey, now()).where(ApiKey.project_id == project_id, ApiKey.id == key_id)


def page(project_id: str, **place: Unpack[Place]) -> Select[ApiKey, float]:
    """Revoked ones too."""
    return window(select(ApiKey, now()).where(ApiKey.project_id == project_id), ApiKey, **place)


def revoke(session: Session, project_id: str, key_id: str) -> bool:
    """Whether there was such a key to revoke."""
    mine = update(ApiKey).where(ApiKey.project_id == project_id, ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
    returning = mine.values(revoked_at=now()).returning(ApiKey.id)
    return session.execute(returning, execution_options=QUIETLY).first() is not None


def touch(session: Session, key_ids: Iterable[str]) -> None:
    """They were used just now; what was written within the last minute stays."""
    old = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < now() - TOUCH_S)
    used = update(ApiKey).where(ApiKey.id.in_(sorted(key_ids)), old)
    session.execute(used.values(last_used_at=now()), execution_options=QUIETLY)


def first(session: Session, *, force: bool = False) -> str | None:
    """The secret of the first key, None where there is one already and none was forced."""
    if not force and session.scalar(select(func.count()).select_from(ApiKey).where(ApiKey.revoked_at.is_(None))):
        return None
    oldest = select(Project).order_by(Project.created_at, Project.id).limit(1)
    project = session.scalar(oldest) or create_project(session, FIRST_PROJECT)
    return issue(session, project.id, "first")[1]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
