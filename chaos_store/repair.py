"""Puts in order what a service left behind that was killed: processes, scratch files, jobs and half an upload."""

import shutil
import socket
from pathlib import Path
from typing import NamedTuple

import psutil

from . import gc, jobs, migrate, processes
from .engine import Database, migration_engine, open_database
from .settings import Settings

__all__ = ["Repaired", "repair"]


class Repaired(NamedTuple):
    processes: int
    scratch_folders: int
    jobs: int
    broken_uploads: int


def repair(settings: Settings) -> Repaired:
    """Harmless beside a running service; started by the holder of the folder's lock it takes all others for dead.

    Rows wait for another time where the database is not at the newest migration.
    """
    folder, alone = settings.data_dir, processes.is_alone(settings.data_dir)
    lost = processes.left_behind(folder) if alone else processes.orphaned_runners(folder)
    ended = processes.end(lost)
    removed = _remove_scratch(folder / "scratch")
    back, uploads = (0, 0) if _is_behind(settings) else _mend_rows(settings, alone=alone)
    return Repaired(ended, removed, back, uploads)


def _remove_scratch(root: Path) -> int:
    """Folders are named `<pid>` by workers and `api-<pid>` by others."""
    if not root.is_dir():
        return 0
    dead = [folder for folder in root.iterdir() if not _is_alive(folder.name.removeprefix("api-"))]
    for folder in dead:
        shutil.rmtree(folder, ignore_errors=True)
    return len(dead)


def _is_alive(pid: str) -> bool:
    return not pid.isdecimal() or psutil.pid_exists(int(pid))


def _is_behind(settings: Settings) -> bool:
    with migration_engine(settings).connect() as connection:
        return migrate.pending(connection)


def _mend_rows(settings: Settings, *, alone: bool) -> tuple[int, int]:
    database = open_database(settings)
    try:
        own = alone and database.engine.dialect.name == "sqlite"
        back = _take_back(database, all_dead=own)
        grace_s = 0.0 if own else settings.gc_grace_s
        return back, gc.total(gc.broken_uploads(database, grace_s=grace_s)).broken_uploads
    finally:
        database.dispose()


def _take_back(database: Database, *, all_dead: bool) -> int:
    prefix = "" if database.engine.dialect.name == "sqlite" else f"{socket.gethostname()}-"
    with database.write.begin() as session:
        return len(jobs.abandon(session, prefix, lambda owner: not all_dead and _may_live(owner)))


def _may_live(owner: str) -> bool:
    """Owners are named `<host>-<pid>-<random>`; those of another form are left to their leases."""
    host, _, rest = owner.rpartition("-")[0].rpartition("-")
    if host != socket.gethostname() or not rest.isdecimal():
        return True
    try:
        return processes.runs_worker(psutil.Process(int(rest)))
    except psutil.NoSuchProcess:
        return False
