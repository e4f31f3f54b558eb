"""python -m chaos_store migrate | first-key | keys | projects | quota | doctor | backup | restore | gc | ..."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from chaos_core.errors import ChaosError

from . import backup, doctor, gc, keys, migrate, repair
from .administration import add_commands
from .engine import open_database
from .settings import Settings

DAY_S = 86_400.0

Command = Callable[[Settings, argparse.Namespace], int]


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    try:
        settings = Settings()
        run: Command = chosen.run
        return run(settings, chosen)
    except ValidationError as error:
        return _unreadable(error, chosen)
    except ChaosError as error:
        return _complain(f"{error.code}: {error.detail}", error.remedy)
    except (SQLAlchemyError, OSError, ValueError) as error:
        return _complain(f"{type(error).__name__}: {getattr(error, 'orig', None) or error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos_store", description="Looks after the service's database.")
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, run: Command, does: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")
        command.set_defaults(run=run)
        return command

    migration = add("migrate", _migrate, "bring the database to the newest form")
    migration.add_argument("--backup-into", type=Path, metavar="FOLDER", help="save the rows there before, if need be")
    add("first-key", _first_key, "print a new secret where there is no key yet").add_argument(
        "--force", action="store_true", help="issue another key even so"
    )
    look = add("doctor", _doctor, "look at all that the service needs; exit code 1 where something is wrong")
    look.add_argument("--deep", action="store_true", help="read every stored byte too")
    look.add_argument("--json", action="store_true", help="print the findings as JSON")
    add("backup", _backup, "write all rows and bytes into one file; the service may run").add_argument(
        "file", type=Path
    )
    add("restore", _restore, "fill a database without rows from a backup").add_argument("file", type=Path)
    add("gc", _gc, "remove bytes that nothing uses and jobs whose time to be kept is over")
    retention = add("retention", _retention, "say how long finished jobs are kept, with all they made")
    retention.add_argument("days", help="a number of days, or `forever`")
    retention.add_argument("--project", metavar="ID", help="of this project only")
    add_commands(add)
    add("repair", _repair, "put in order what a killed service left behind; prints what, as JSON")
    return parser


def _migrate(settings: Settings, chosen: argparse.Namespace) -> int:
    if chosen.backup_into is not None:
        saved = backup.backup_before_upgrade(settings, chosen.backup_into)
        if saved is not None:
            _say(str(saved))
    migrate.upgrade(settings)
    return 0


def _first_key(settings: Settings, chosen: argparse.Namespace) -> int:
    database = open_database(settings)
    with database.write.begin() as session:
        secret = keys.first(session, force=chosen.force)
    database.dispose()
    if secret is not None:
        _say(secret)
    return 0


def _doctor(settings: Settings, chosen: argparse.Namespace) -> int:
    return _report(doctor.examine(settings, deep=chosen.deep), as_json=chosen.json)


def _report(findings: list[doctor.Finding], *, as_json: bool) -> int:
    ok = all(finding.ok for finding in findings)
    if as_json:
        _say(json.dumps({"ok": ok, "findings": [finding._asdict() for finding in findings]}))
        return int(not ok)
    for finding in findings:
        _say(f"{'ok  ' if finding.ok else 'BAD '} {finding.name}: {finding.detail}")
        if not finding.ok and finding.remedy:
            _say(f"     {finding.remedy}")
    return int(not ok)


def _unreadable(error: ValidationError, chosen: argparse.Namespace) -> int:
    wrong = "; ".join(f"CHAOS_{'_'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in error.errors())
    if chosen.command == "doctor":
        return _report([doctor.Finding("settings", False, wrong, "Correct the environment.")], as_json=chosen.json)
    return _complain(wrong)


def _backup(settings: Settings, chosen: argparse.Namespace) -> int:
    rows = backup.backup(settings, chosen.file)
    _say(f"{chosen.file}: {rows} rows, {chosen.file.stat().st_size} bytes")
    return 0


def _restore(settings: Settings, chosen: argparse.Namespace) -> int:
    _say(f"{backup.restore(settings, chosen.file)} rows restored")
    return 0


def _gc(settings: Settings, _: argparse.Namespace) -> int:
    database = open_database(settings)
    done = gc.collect(database, grace_s=settings.gc_grace_s, deliveries_s=settings.webhook_keep_s)
    database.dispose()
    _say(
        f"{done.blobs} blobs ({done.bytes} bytes), {done.broken_uploads} broken uploads, "
        f"{done.expired_jobs} expired jobs removed"
    )
    return 0


def _retention(settings: Settings, chosen: argparse.Namespace) -> int:
    seconds = None if chosen.days == "forever" else float(chosen.days) * DAY_S
    if seconds is not None and not 0 <= seconds < float("inf"):
        return _complain(f"{chosen.days} is no number of days.")
    database = open_database(settings)
    with database.write.begin() as session:
        projects = keys.keep_for(session, seconds, chosen.project)
    database.dispose()
    if not projects and chosen.project:
        return _complain(f"There is no project {chosen.project}.")
    _say(f"{projects} projects keep finished jobs {'for ever' if seconds is None else f'for {chosen.days} days'}")
    return 0


def _repair(settings: Settings, _: argparse.Namespace) -> int:
    _say(json.dumps(repair.repair(settings)._asdict()))
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _complain(line: str, remedy: str = "") -> int:
    sys.stderr.write(f"{line} {remedy}".strip() + "\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
