"""What a key may do to the keys of its project: never grant more than it has, never leave nobody who can."""

import math
from collections.abc import Iterable
from typing import TypedDict, Unpack

from sqlalchemy import select
from sqlalchemy.orm import Session

from . import keys
from .errors import KeyOutlives, LastAdminKey, NotFound, ScopeMissing
from .scopes import Scope
from .tables import ApiKey, Project

__all__ = ["Change", "change", "grant", "withdraw"]


class Change(TypedDict, total=False):
    name: str
    scopes: list[str]
    expires_at: float | None


def grant(
    session: Session, granter_id: str, *, name: str, scopes: list[str], expires_at: float | None
) -> tuple[ApiKey, str]:
    """A new key of the granter's project, and its secret."""
    granter = _granter(session, granter_id)
    _require(granter, scopes)
    _require_end(granter, expires_at)
    return keys.issue(session, granter.project_id, name, scopes=scopes, expires_at=expires_at)


def change(session: Session, granter_id: str, key_id: str, **changes: Unpack[Change]) -> ApiKey:
    granter = _granter(session, granter_id)
    key = _other(session, granter, key_id)
    scopes, expires_at = changes.get("scopes", key.scopes), changes.get("expires_at", key.expires_at)
    added, prolonged = set(scopes) - set(key.scopes), _end(expires_at) > _end(key.expires_at)
    if added or prolonged:
        _require(granter, scopes if prolonged else added)
        _require_end(granter, expires_at)
    if Scope.admin not in scopes or _end(expires_at) < _end(key.expires_at):
        _require_successor(session, key)
    for field, value in changes.items():
        setattr(key, field, value)
    session.flush()
    return key


def withdraw(session: Session, granter_id: str, key_id: str) -> None:
    """Revokes the key; one that is revoked stays so."""
    granter = _granter(session, granter_id)
    key = _other(session, granter, key_id)
    if key.revoked_at is None:
        _require_successor(session, key)
        keys.revoke(session, granter.project_id, key_id)


def _granter(session: Session, key_id: str) -> ApiKey:
    """The key as it is now, not as it was when it was looked up; other grants of the project wait for the end."""
    own = select(ApiKey.project_id).where(ApiKey.id == key_id).scalar_subquery()
    session.execute(select(Project.id).where(Project.id == own).with_for_update(key_share=True))
    found = session.scalar(keys.live().where(ApiKey.id == key_id), execution_options={"populate_existing": True})
    if found is None or Scope.admin not in found.scopes:
        raise ScopeMissing("The key has lost the scope `admin`, or may no longer be used.", scope=Scope.admin.value)
    return found


def _other(session: Session, granter: ApiKey, key_id: str) -> ApiKey:
    mine = select(ApiKey).where(ApiKey.project_id == granter.project_id, ApiKey.id == key_id).with_for_update()
    key = session.scalar(mine, execution_options={"populate_existing": True})
    if key is None:
        raise NotFound(f"There is no API key {key_id}.", kind="api_key", id=key_id)
    if Scope.operator in key.scopes:
        _require(granter, [Scope.operator])
    return key


def _require(granter: ApiKey, scopes: Iterable[str]) -> None:
    missing = sorted(set(scopes) - set(granter.scopes))
    if missing:
        raise ScopeMissing(f"Your key has no scope `{missing[0]}` and cannot grant it.", scope=missing[0])


def _require_end(granter: ApiKey, expires_at: float | None) -> None:
    if _end(expires_at) > _end(granter.expires_at):
        detail = "Your key expires, and the other one would live on after it."
        raise KeyOutlives(detail, expires_at=granter.expires_at)


def _require_successor(session: Session, key: ApiKey) -> None:
    """Another key with which keys can be made, where this one could."""
    others = session.scalars(keys.live().where(ApiKey.project_id == key.project_id)).all()
    able = {other.id for other in others if Scope.admin in other.scopes}
    if able == {key.id}:
        raise LastAdminKey(f"{key.id} is the last key of the project with the scope `admin`.", id=key.id)


def _end(expires_at: float | None) -> float:
    return math.inf if expires_at is None else expires_at
