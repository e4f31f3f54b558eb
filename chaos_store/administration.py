"""Commands for whoever runs the service: keys, projects and quotas, without a key."""

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from . import keys, projects
from .engine import Database, now, open_database
from .errors import NotFound
from .scopes import ALL, ORDINARY
from .settings import Settings
from .tables import ApiKey, Project

__all__ = ["add_commands"]

DAY_S = 86_400.0
NONE = "none"
Command = Callable[[Settings, argparse.Namespace], int]
Adder = Callable[[str, Command, str], argparse.ArgumentParser]


def add_commands(add: Adder) -> None:
    add("keys", _keys, "list the API keys").add_argument("--project", metavar="ID", help="of this project only")
    issue = add("issue-key", _issue, "print the secret of a new API key")
    issue.add_argument("name")
    issue.add_argument("--project", metavar="ID", help="the oldest one if left out")
    words = [scope.value for scope in ALL]
    issue.add_argument("--scope", action="append", choices=words, help="repeat for several; read, write and admin")
    issue.add_argument("--days", type=_days, help="the key expires after so long; never if left out")
    add("revoke-key", _revoke, "end an API key, also the last one of its project").add_argument("id")
    add("projects", _projects, "list the projects with their quotas")
    add("create-project", _create, "make a project and print the secret of its first key").add_argument("name")
    quota = add("quota", _quota, "say how much a project may have; `none` lifts a limit")
    quota.add_argument("--project", metavar="ID", help="the oldest one if left out")
    quota.add_argument("--bytes", type=_amount, help="stored bytes")
    quota.add_argument("--jobs", type=_amount, help="jobs that wait or run at a time")
    quota.add_argument("--core-hours", type=_hours, help="run time of its jobs in 30 days")


def _keys(settings: Settings, chosen: argparse.Namespace) -> int:
    def show(session: Session) -> None:
        found = select(ApiKey, now()).order_by(ApiKey.created_at, ApiKey.id)
        if chosen.project:
            found = found.where(ApiKey.project_id == _project(session, chosen.project).id)
        for key, seconds in session.execute(found):
            expired = key.expires_at is not None and key.expires_at <= seconds
            state = "revoked" if key.revoked_at else "expired" if expired else "active"
            until = f"until {_moment(key.expires_at)}" if key.expires_at else "for ever"
            used = f"used {_moment(key.last_used_at)}" if key.last_used_at else "never used"
            _say(f"{key.id}  {key.project_id}  {state} {until}, {used}  {','.join(key.scopes)}  {key.name}")

    return _read(settings, show)


def _issue(settings: Settings, chosen: argparse.Namespace) -> int:
    def issue(session: Session) -> str:
        project = _project(session, chosen.project)
        expires_at = None if chosen.days is None else _time(session) + chosen.days * DAY_S
        scopes = chosen.scope or ORDINARY
        return keys.issue(session, project.id, chosen.name, scopes=scopes, expires_at=expires_at)[1]

    return _write(settings, issue)


def _revoke(settings: Settings, chosen: argparse.Namespace) -> int:
    def revoke(session: Session) -> str:
        key = session.get(ApiKey, chosen.id)
        if key is None:
            raise NotFound(f"There is no API key {chosen.id}.", kind="api_key", id=chosen.id)
        done = keys.revoke(session, key.project_id, key.id)
        return f"{key.id} {'is revoked' if done else 'was revoked before'}"

    return _write(settings, revoke)


def _projects(settings: Settings, _: argparse.Namespace) -> int:
    def show(session: Session) -> None:
        for row in session.scalars(select(Project).order_by(Project.created_at, Project.id)):
            _say(_described(row))

    return _read(settings, show)


def _create(settings: Settings, chosen: argparse.Namespace) -> int:
    def create(session: Session) -> str:
        project = keys.create_project(session, chosen.name)
        return f"{project.id}\n{keys.issue(session, project.id, 'first')[1]}"

    return _write(settings, create)


def _quota(settings: Settings, chosen: argparse.Namespace) -> int:
    given = {"quota_bytes": chosen.bytes, "quota_jobs": chosen.jobs, "quota_core_hours": chosen.core_hours}
    changes: Any = {name: None if value == NONE else value for name, value in given.items() if value is not None}

    def change(session: Session) -> str:
        return _described(projects.change(session, _project(session, chosen.project).id, **changes))

    return _write(settings, change)


def _described(row: Project) -> str:
    quotas = {"bytes": row.quota_bytes, "jobs": row.quota_jobs, "core hours": row.quota_core_hours}
    limits = ", ".join(f"{name} {'unlimited' if value is None else f'{value:g}'}" for name, value in quotas.items())
    kept = "for ever" if row.retention_s is None else f"{row.retention_s / DAY_S:g} days"
    return f"{row.id}  {limits}; jobs kept {kept}  {row.name}"


def _project(session: Session, project_id: str | None) -> Project:
    found = select(Project).order_by(Project.created_at, Project.id).limit(1)
    row = session.scalar(found if project_id is None else projects.get(project_id))
    if row is None:
        raise NotFound(f"There is no project {project_id or 'yet'}.", kind="project", id=project_id)
    return row


@contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    database = open_database(settings)
    try:
        yield database
    finally:
        database.dispose()


def _read(settings: Settings, show: Callable[[Session], None]) -> int:
    with _opened(settings) as database, database.read() as session:
        show(session)
    return 0


def _write(settings: Settings, act: Callable[[Session], str]) -> int:
    with _opened(settings) as database, database.write.begin() as session:
        told = act(session)
    _say(told)
    return 0


def _time(session: Session) -> float:
    return float(session.scalar(select(now())) or 0.0)


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days < math.inf:
        raise ValueError(text)
    return days


def _amount(text: str) -> int | str:
    amount = NONE if text == NONE else int(text)
    if isinstance(amount, int) and not 0 <= amount < 2**63:
        raise ValueError(text)
    return amount


def _hours(text: str) -> float | str:
    hours = NONE if text == NONE else float(text)
    if isinstance(hours, float) and not 0 <= hours < math.inf:
        raise ValueError(text)
    return hours


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
