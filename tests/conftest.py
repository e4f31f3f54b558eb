"""Fixtures shared by all rooms: both databases, the broker, a project with its key."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from chaos_core import native
from chaos_store import keys, migrate
from chaos_store.engine import AsyncDatabase, Database, open_async_database, open_database
from chaos_store.settings import Settings
from tests.servers import PostgresServer, ValkeyServer

settings.register_profile("gate", derandomize=True, max_examples=200, deadline=None)
settings.register_profile("search", max_examples=20_000, deadline=None)
settings.load_profile("gate")

CPU_LEVELS = ("v2", "v3", "v4", "neon", "none")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cpu-level", choices=CPU_LEVELS, help="native code of this level in the tests' own process")


def pytest_configure(config: pytest.Config) -> None:
    level = config.getoption("--cpu-level")
    if level is not None and native.use(() if level == "none" else (level,)).level is None and level != "none":
        raise pytest.UsageError(native.status().reason)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--cpu-level") == "none":
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("native")])
        items[:] = [item for item in items if not item.get_closest_marker("native")]


BACKENDS = ("sqlite", "postgres")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CHAOS_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file, complete in itself: closing the last connection empties its journal."""
    folder = tmp_path_factory.mktemp("template")
    migrate.upgrade(Settings(data_dir=folder))
    return folder / "chaos.db"


@pytest.fixture
def sqlite_settings(tmp_path: Path, sqlite_template: Path) -> Settings:
    """A migrated SQLite database of the test's own."""
    shutil.copyfile(sqlite_template, tmp_path / "chaos.db")
    return Settings(data_dir=tmp_path)


@pytest.fixture
def postgres_settings(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[Settings]:
    """A migrated Postgres database of the test's own."""
    with postgres_server.fresh() as url:
        yield Settings(data_dir=tmp_path, database_url=url)


@pytest.fixture(params=BACKENDS)
def settings(request: pytest.FixtureRequest) -> Settings:
    """A migrated database of the test's own; the test runs once on each kind."""
    chosen: Settings = request.getfixturevalue(f"{request.param}_settings")
    return chosen


@pytest.fixture
def broker_url(valkey_server: ValkeyServer) -> str:
    """A real, empty broker."""
    valkey_server.flush()
    return valkey_server.url


@pytest.fixture
def service_settings(settings: Settings, broker_url: str) -> Settings:
    """Database and broker: all that api and worker need."""
    return settings.model_copy(update={"broker_url": broker_url})


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = open_database(settings)
    yield opened
    opened.dispose()


@pytest.fixture
async def async_database(settings: Settings) -> AsyncIterator[AsyncDatabase]:
    opened = open_async_database(settings)
    yield opened
    await opened.dispose()


@pytest.fixture
def project_id(database: Database) -> str:
    with database.write.begin() as session:
        return keys.create_project(session, "test").id


@pytest.fixture
def api_key(database: Database, project_id: str) -> str:
    """The secret of a key of the project."""
    with database.write.begin() as session:
        return keys.issue(session, project_id, "test")[1]
