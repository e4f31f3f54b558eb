"""A backup is one moment of the database, in one file, and either database can be made from it again."""

import shutil
import sqlite3
import stat
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select, text

from chaos_store import (
    analyses,
    announcements,
    artifacts,
    backup,
    checkpoints,
    copying,
    datasets,
    deliveries,
    evaluations,
    idempotency,
    joblogs,
    jobs,
    keys,
    leaders,
    migrate,
    trained,
    trajectories,
    webhooks,
)
from chaos_store.blobs import CHUNK_BYTES, DatabaseBlobs
from chaos_store.engine import Database, migration_engine, open_database
from chaos_store.errors import BackupRefused
from chaos_store.settings import Settings
from chaos_store.tables import AuditEvent, Base, Blob, Job, JobEvent
from tests.servers import PostgresServer

MIB = 1024 * 1024
BIG = b"".join(bytes([number]) * MIB for number in range(1, 4)) + b"end"
FACTS = {"format": "csv", "rows": 3, "channels": 1, "names": ["ü"], "dt": 0.1, "missing_count": 0, "stretches": 1}


@pytest.fixture(params=["sqlite", "postgres"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Another database, without a table."""
    folder = tmp_path / "elsewhere"
    if request.param == "sqlite":
        yield Settings(data_dir=folder)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.empty() as url:
        yield Settings(data_dir=folder, database_url=url)


def _fill(database: Database) -> tuple[str, str]:
    """Rows in every table; the finished job and the running one."""
    blobs = DatabaseBlobs()
    with database.write.begin() as session:
        project = keys.create_project(session, "bücher")
        project.retention_s = 1e9
        key, _ = keys.issue(session, project.id, "key", scopes=["read"], expires_at=2e9)
        session.add(AuditEvent(key_id=key.id, request_id="r", method="POST", route="/v1/jobs", status=403))
        repeat = idempotency.Claim(project.id, "key ~", "f" * 64)
        assert idempotency.take(session, repeat, lock_s=1.0, keep_s=60.0)
        assert idempotency.keep(session, repeat, idempotency.Answer(201, "text/plain", "/v1/ü", b"\x00\xff"))
        file, weights, run, state = (blobs.put(session, [data]) for data in (BIG, b"weights", b"run", b"state"))
        facts: Any = FACTS | {"series_sha256": file.sha256}
        dataset = datasets.create(session, project_id=project.id, name="d", content=file, facts=facts)
        common = {"project_id": project.id, "dataset_id": dataset.id, "max_attempts": 3}
        analysis, _ = analyses.request(session, **common)
        analyses.save_result(session, analysis.id, {"lambda_max": 1 / 3, "curve": [0.1, None, 1e-300]})
        done, running = (jobs.create(session, kind="train", labels={"ä": "ö"}, seed=2**53 + 1, **common) for _ in "ab")
        leaders.lead(session, "reaper", "worker", 60.0)
        claim = jobs.claim(session, done.id, "worker", 60.0)
        assert claim is not None
        jobs.add_metrics(session, claim, [("loss", step, 1 / (step + 3), 1.5) for step in range(500)])
        jobs.add_metrics(session, claim, [("loss", 500, float("nan"), 1.5)])
        joblogs.add(session, claim, [joblogs.Line("info", "runner", "ä\nö")], most_lines=9, most_bytes=99)
        checkpoints.save(session, claim, state, 10, best=True, keep=2)
        kept = {"project_id": project.id, "job_id": done.id, "media_type": "application/octet-stream"}
        tensors = artifacts.create(session, kind="model", name="model.safetensors", blob=weights, **kept)
        model = trained.create(
            session,
            artifact=tensors,
            dataset_id=dataset.id,
            name="m",
            config={"x": [1, 2.5]},
            parameter_count=2**40,
            plan_hash=None,
        )
        free = artifacts.create(session, kind="trajectory", name="trajectory.npz", blob=run, **kept)
        mine = trajectories.create(session, artifact=free, model_id=model.id, steps=1, channels=1)
        scored = evaluations.Generated(trajectory_id=mine.id)
        evaluations.create(session, generated=scored, options={"preset": "gtf"}, **common)
        jobs.succeed(session, claim, model_id=model.id, scores={"d_stsp": 0.25})
        assert jobs.claim(session, running.id, "worker", 60.0) is not None
        webhook = webhooks.create(
            session, project_id=project.id, url="https://example.com/", event_types=["job.failed"]
        )
        announcements.send_test(session, project.id, webhook.id)
        assert deliveries.claim(session, deliveries.Places(1, 1, 1), (), 60.0)
    return done.id, running.id


def _rows(engine: Engine, *, but: tuple[str, ...] = ()) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    with engine.connect() as connection:
        for table in copying.reflect(connection):
            if table.name not in but:
                key = list(table.primary_key.columns)
                found[table.name] = [dict(row) for row in connection.execute(select(table).order_by(*key)).mappings()]
    return found


def _contents(settings: Settings, **how: Any) -> dict[str, list[dict[str, Any]]]:
    return _rows(migration_engine(settings), **how)


def _verify_all(database: Database) -> int:
    with database.read() as session:
        sums = session.scalars(select(Blob.sha256)).all()
        for sha256 in sums:
            DatabaseBlobs().verify(session, sha256)
    return len(sums)


def test_a_backup_of_either_database_becomes_either_database(
    settings: Settings, database: Database, elsewhere: Settings, tmp_path: Path
) -> None:
    done, running = _fill(database)
    before = _contents(settings)
    file = tmp_path / "backups" / "one.db"
    written = backup.backup(settings, file)
    assert written == sum(map(len, before.values()))
    assert [path.name for path in file.parent.iterdir()] == ["one.db"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert _contents(settings) == before

    assert backup.restore(elsewhere, file) == written
    changed = ("job", "job_event", "project_use")
    after = _contents(elsewhere)
    for name, rows in before.items():
        assert name in changed or after[name] == rows, name
    assert {table: len(rows) for table, rows in before.items() if not rows} == {}
    assert [row for row in after["job"] if row["id"] == done] == [row for row in before["job"] if row["id"] == done]
    restored = open_database(elsewhere)
    assert _verify_all(restored) == 4
    with restored.write.begin() as session:
        job = session.get_one(Job, running)
        assert (job.status, job.lease_owner, job.attempt) == ("queued", None, 1)
        claim = jobs.claim(session, running, "another", 60.0)
        assert claim is not None
        joblogs.add(session, claim, [joblogs.Line("info", "runner", "anew")], most_lines=9, most_bytes=99)
        last = session.scalars(select(JobEvent.seq).order_by(JobEvent.seq.desc()).limit(1)).one()
        assert last > max(row["seq"] for row in before["job_event"])
    restored.dispose()


def test_the_file_is_complete_in_itself_and_holds_no_journal(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    _fill(database)
    backup.backup(settings, tmp_path / "one.db")
    header = (tmp_path / "one.db").read_bytes()[:20]
    assert header[:16] == b"SQLite format 3\0" and header[18:20] == b"\x01\x01"


def test_a_backup_under_load_is_one_moment(
    settings: Settings, database: Database, tmp_path: Path, project_id: str
) -> None:
    """Each round deletes what the round before made: any mixture of two moments breaks a reference or a count."""
    done, _ = _fill(database)
    stop = threading.Event()

    def work(name: int) -> int:
        turn, last = 0, ""
        while not stop.wait(0.001):
            data = f"{name} {turn}".encode() * 1000
            with database.write.begin() as session:
                content = DatabaseBlobs().put(session, [data])
                made = datasets.create(session, project_id=project_id, name=str(name), content=content).id
                if last:
                    datasets.delete(session, project_id, last)
            turn, last = turn + 1, made
        return turn

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(work, name) for name in range(2)]
        try:
            for number in range(2):
                backup.backup(settings, tmp_path / f"{number}.db")
        finally:
            stop.set()
        assert all(writer.result() > 3 for writer in writers)
    elsewhere = Settings(data_dir=tmp_path / "elsewhere")
    backup.restore(elsewhere, tmp_path / "1.db")
    restored = open_database(elsewhere)
    _verify_all(restored)
    with restored.read() as session:
        assert session.get_one(Job, done).status == "succeeded"
        names = session.execute(text("SELECT name, count(*) FROM dataset WHERE name <> 'd' GROUP BY name")).all()
    assert all(count == 1 for _, count in names)
    restored.dispose()


def test_many_bytes_pass_through_little_memory(settings: Settings, database: Database, tmp_path: Path) -> None:
    DatabaseBlobs().store(database, (bytes([number]) * CHUNK_BYTES for number in range(40)))
    file = tmp_path / "one.db"
    tracemalloc.start()
    backup.backup(settings, file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert file.stat().st_size > 40 * MIB
    assert peak < 20 * MIB


def test_an_upload_under_way_is_left_out(settings: Settings, database: Database, tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * (8 * CHUNK_BYTES)
        backup.backup(settings, tmp_path / "one.db")

    DatabaseBlobs().store(database, pieces())
    assert _rows(migration_engine(Settings(database_url=f"sqlite:///{tmp_path / 'one.db'}")))["blob_chunk"] == []


@pytest.fixture
def good(sqlite_settings: Settings, tmp_path: Path) -> Path:
    database = open_database(sqlite_settings)
    _fill(database)
    database.dispose()
    backup.backup(sqlite_settings, tmp_path / "good.db")
    return tmp_path / "good.db"


def _damage(good: Path, how: str) -> Path:
    path = good.with_name("bad.db")
    shutil.copyfile(good, path)
    if how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("no database at all\n" * 100)
    elif how == "cut":
        path.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    else:
        statement = {
            "another program's": "DROP TABLE chaos_backup",
            "newer": "UPDATE alembic_version SET version_num = '9999'",
            "rows lost": "DELETE FROM metric WHERE step = 3",
            "reference lost": "DELETE FROM blob WHERE size = 7",
        }[how]
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        connection.close()
    return path


@pytest.mark.parametrize(
    "how", ["missing", "empty", "text", "cut", "another program's", "newer", "rows lost", "reference lost"]
)
def test_a_file_that_is_no_whole_backup_is_refused_and_nothing_is_written(
    good: Path, elsewhere: Settings, how: str
) -> None:
    with pytest.raises(BackupRefused):
        backup.restore(elsewhere, _damage(good, how))
    migrate.upgrade(elsewhere)
    assert not any(_contents(elsewhere).values())
    assert backup.restore(elsewhere, good) > 500


def test_a_database_with_rows_is_never_overwritten(
    settings: Settings, database: Database, project_id: str, good: Path
) -> None:
    before = _contents(settings)
    with pytest.raises(BackupRefused, match="already holds rows"):
        backup.restore(settings, good)
    assert _contents(settings) == before


def test_a_backup_never_replaces_the_database(sqlite_settings: Settings) -> None:
    file = sqlite_settings.data_dir / "chaos.db"
    with pytest.raises(BackupRefused, match="the database itself"):
        backup.backup(sqlite_settings, file)
    assert migrate.pending(migration_engine(sqlite_settings).connect()) is False


def test_a_broken_backup_leaves_the_older_one_and_no_rubbish(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "backups" / "one.db"
    backup.backup(settings, file)
    before = file.read_bytes()
    with database.write.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'unheard'"))
    with pytest.raises(BackupRefused, match="unheard"):
        backup.backup(settings, file)
    with database.write.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": migrate.revisions()[-1]})
    assert ([path.name for path in file.parent.iterdir()], file.read_bytes()) == (["one.db"], before)


def _old_rows(settings: Settings) -> None:
    engine = migration_engine(settings)
    with engine.begin() as connection:
        tables = {table.name: table for table in copying.reflect(connection)}
        connection.execute(insert(tables["project"]), {"id": "prj_1", "name": "old", "created_at": 1.0})
        connection.execute(
            insert(tables["blob"]),
            {"sha256": "ab", "content": "c", "size": 1, "chunk_size": CHUNK_BYTES, "created_at": 1.0},
        )
        connection.execute(insert(tables["blob_chunk"]), {"content": "c", "idx": 0, "data": b"x"})


def test_a_backup_is_taken_before_an_upgrade_and_older_ones_are_brought_up(
    elsewhere: Settings, settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    assert backup.backup_before_upgrade(elsewhere, folder) is None
    migrate.upgrade(elsewhere, "0001")
    assert backup.backup_before_upgrade(elsewhere, folder) is None
    _old_rows(elsewhere)
    file = backup.backup_before_upgrade(elsewhere, folder)
    assert file == folder / f"before-{migrate.revisions()[-1]}.db"
    migrate.upgrade(elsewhere)
    assert backup.backup_before_upgrade(elsewhere, folder) is None

    assert backup.restore(settings, file) == 3
    database = open_database(settings)
    with database.read() as session:
        assert session.execute(text("SELECT name, retention_s FROM project")).one() == ("old", None)
    database.dispose()
    with migration_engine(settings).connect() as connection:
        assert not migrate.pending(connection)


def test_everything_of_the_tables_is_in_the_backup(settings: Settings) -> None:
    with migration_engine(settings).connect() as connection:
        names = {table.name for table in copying.reflect(connection)}
    assert names == set(Base.metadata.tables) - {"lease", "worker", "upload", "upload_part"}
