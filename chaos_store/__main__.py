"""python -m chaos_store migrate | first-key"""

import argparse
import sys

from . import keys, migrate
from .engine import open_database
from .settings import Settings


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos_store", description="Looks after the service's database.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("migrate", help="bring the database to the newest form")
    first_key = commands.add_parser("first-key", help="print a new secret where there is no key yet")
    first_key.add_argument("--force", action="store_true", help="issue another key even so")
    chosen = parser.parse_args(arguments)
    settings = Settings()
    if chosen.command == "migrate":
        migrate.upgrade(settings)
    else:
        _first_key(settings, force=chosen.force)
    return 0


def _first_key(settings: Settings, *, force: bool) -> None:
    database = open_database(settings)
    with database.write.begin() as session:
        secret = keys.first(session, force=force)
    database.dispose()
    if secret is not None:
        sys.stdout.write(secret + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
