"""Runs the migrations in process: one transaction, one process at a time."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from .engine import migration_engine
from .settings import Settings

__all__ = ["alembic_config", "current", "downgrade", "pending", "revisions", "upgrade"]

ADVISORY_LOCK = 7_236_110_442


def alembic_config(connection: Connection | None = None) -> Config:
    packaged = Path(__file__).parent / "_migrations"
    config = Config()
    config.set_main_option("path_separator", "os")
    config.set_main_option("script_location", str(packaged if packaged.is_dir() else _in_checkout()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _in_checkout() -> Path:
    return Path(__file__).parent.parent / "migrations"


def upgrade(settings: Settings, revision: str = "head") -> None:
    _run(settings, revision, up=True)


def downgrade(settings: Settings, revision: str) -> None:
    _run(settings, revision, up=False)


def _run(settings: Settings, revision: str, *, up: bool) -> None:
    engine = migration_engine(settings)
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        (command.upgrade if up else command.downgrade)(alembic_config(connection), revision)
    engine.dispose()


def current(connection: Connection) -> str | None:
    """The migration that the database stands at; None where it has no tables."""
    heads = MigrationContext.configure(connection).get_current_heads()
    return heads[0] if heads else None


def revisions() -> list[str]:
    """All migrations that this code knows, oldest first."""
    script = ScriptDirectory.from_config(alembic_config())
    return [step.revision for step in script.walk_revisions()][::-1]


def pending(connection: Connection) -> bool:
    """Whether the database is not at the newest migration."""
    return current(connection) != revisions()[-1]
