"""The doctor finds what is wrong, names it, says what to do, and finds nothing where nothing is."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from chaos_store import artifacts, backup, checkpoints, commands, datasets, doctor, jobs, migrate
from chaos_store.__main__ import main
from chaos_store.blobs import CHUNK_BYTES, DatabaseBlobs
from chaos_store.engine import Database, now, open_database
from chaos_store.settings import Settings
from chaos_store.tables import Blob, BlobChunk, Dataset, Job, JobEvent, Project
from tests.house.tree import ROOT
from tests.servers import PostgresServer

NewJob = Callable[..., str]
QUIETLY = {"synchronize_session": False}


def _bad(findings: list[doctor.Finding]) -> dict[str, str]:
    return {finding.name: finding.detail for finding in findings if not finding.ok}


@pytest.fixture
def healthy(service_settings: Settings) -> Settings:
    return service_settings


def test_a_healthy_service_has_no_finding(healthy: Settings, database: Database, new_job: NewJob) -> None:
    new_job()
    findings = doctor.examine(healthy, deep=True)
    assert _bad(findings) == {}
    names = [finding.name for finding in findings if finding.name != "database file"]
    assert names == [
        "settings",
        "broker",
        "disk",
        "kernels",
        "processes",
        "database",
        "clock",
        "jobs",
        "workers",
        "blobs",
    ]


def _damaging(database: Database, sha256: str, how: str) -> None:
    """Damages the last chunk as a disk would: nobody is told."""
    with database.write.begin() as session:
        content = select(Blob.content).where(Blob.sha256 == sha256).scalar_subquery()
        last = select(BlobChunk).where(BlobChunk.content == content).order_by(BlobChunk.idx.desc()).limit(1)
        chunk = session.scalars(last).one()
        where = (BlobChunk.content == chunk.content, BlobChunk.idx == chunk.idx)
        if how == "missing":
            session.execute(delete(BlobChunk).where(*where), execution_options=QUIETLY)
        else:
            flipped = bytes([chunk.data[0] ^ 1]) + chunk.data[1:]
            session.execute(update(BlobChunk).where(*where).values(data=flipped), execution_options=QUIETLY)


@pytest.mark.parametrize("how", ["flipped", "missing"])
def test_damaged_bytes_are_found_with_all_that_use_them(
    healthy: Settings, database: Database, project_id: str, dataset_id: str, new_job: NewJob, how: str
) -> None:
    job_id = new_job()
    with database.write.begin() as session:
        good, bad = (DatabaseBlobs().put(session, [bytes([byte]) * (CHUNK_BYTES + 9)]) for byte in (1, 2))
        datasets.create(session, project_id=project_id, name="good", content=good)
        used = datasets.create(session, project_id=project_id, name="bad", content=bad).id
        claim = jobs.claim(session, job_id, "worker", 60.0)
        assert claim is not None
        checkpoints.save(session, claim, bad, 70, best=True, keep=2)
        kept = {"project_id": project_id, "job_id": job_id, "media_type": "application/octet-stream"}
        file = artifacts.create(session, kind="model", name="model.safetensors", blob=bad, **kept).id
    _damaging(database, bad.sha256, how)
    found = [finding for finding in doctor.examine(healthy, deep=True) if not finding.ok]
    assert [finding.name for finding in found] == ["blob", "blobs"]
    told = found[0].detail
    assert bad.sha256 in told and good.sha256 not in told
    for user in (f"dataset {used} (the file)", f"artifact {file} (model.safetensors of", f"(update 70 of {job_id})"):
        assert user in told
    assert _bad(doctor.examine(healthy)) == {}


def test_bytes_that_nothing_uses_are_told_too(healthy: Settings, database: Database) -> None:
    ref = DatabaseBlobs().store(database, [b"alone"])
    _damaging(database, ref.sha256, "flipped")
    assert "nothing that is still kept" in _bad(doctor.examine(healthy, deep=True))["blob"]
    DatabaseBlobs().store(database, [b"alone"])
    assert _bad(doctor.examine(healthy, deep=True)) == {}


def test_jobs_that_nobody_looks_after_are_named(healthy: Settings, database: Database, new_job: NewJob) -> None:
    waiting, lost, new, fresh, deaf = (new_job() for _ in range(5))
    with database.write.begin() as session:
        for job_id in (lost, fresh, deaf):
            claim = jobs.claim(session, job_id, "worker", 60.0)
            assert claim is not None
        commands.request_pause(session, claim.project_id, deaf)
        long_ago = now() - 2 * doctor.STUCK_S
        for job_id, values in (
            (waiting, {"not_before": long_ago, "woken_at": long_ago}),
            (lost, {"lease_until": long_ago}),
        ):
            session.execute(update(Job).where(Job.id == job_id).values(**values), execution_options=QUIETLY)
    told = _bad(doctor.examine(healthy))["jobs"]
    assert [job_id in told for job_id in (waiting, lost, new, fresh, deaf)] == [True, True, False, False, False]
    with database.write.begin() as session:
        older = update(JobEvent).where(JobEvent.job_id == deaf).values(created_at=long_ago)
        session.execute(older, execution_options=QUIETLY)
    assert deaf in _bad(doctor.examine(healthy))["jobs"]


def test_a_broker_that_is_away_is_found(healthy: Settings, tmp_path: Path) -> None:
    away = healthy.model_copy(update={"broker_url": f"redis+socket://{tmp_path / 'nobody.sock'}"})
    assert list(_bad(doctor.examine(away))) == ["broker"]


def test_a_database_that_is_away_missing_or_behind_is_found(
    broker_url: str, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    def told(**given: object) -> str:
        found = _bad(doctor.examine(Settings(data_dir=tmp_path, broker_url=broker_url, **given)))
        assert list(found) == ["database"]
        return found["database"]

    assert "there is no file" in told()
    assert not (tmp_path / "chaos.db").exists()
    assert "refused" in told(database_url="postgresql://nobody@127.0.0.1:1/none")
    assert "CHAOS_DATABASE_URL" in told(database_url="mysql://host/name")
    assert "URL" in told(database_url="nonsense")
    with postgres_server.empty() as url:
        assert told(database_url=url) == "without tables"
        migrate.upgrade(Settings(database_url=url), "0001")
        assert told(database_url=url).startswith("at migration 0001, not ")


def test_a_folder_that_is_no_folder_is_found(healthy: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "settings" in _bad(doctor.examine(healthy.model_copy(update={"data_dir": tmp_path / "file"})))


@pytest.fixture
def command(service_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`python -m chaos_store` with these words."""
    for name in ("data_dir", "database_url", "broker_url"):
        monkeypatch.setenv(f"CHAOS_{name.upper()}", str(getattr(service_settings, name)))
    return lambda *words: main([str(word) for word in words])


def test_the_doctor_speaks_to_people_and_to_programs(
    command: Callable[..., int], database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("doctor") == 0
    assert "ok   database: " in capsys.readouterr().out
    assert command("doctor", "--deep", "--json") == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    ref = DatabaseBlobs().store(database, [b"alone"])
    _damaging(database, ref.sha256, "missing")
    assert command("doctor", "--deep") == 1
    assert f"BAD  blob: {ref.sha256}" in capsys.readouterr().out
    monkeypatch.setenv("CHAOS_LEASE_S", "soon")
    assert command("doctor", "--json") == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [finding["name"] for finding in findings] == ["settings"]
    assert "CHAOS_LEASE_S" in findings[0]["detail"]
    assert command("gc") == 1
    assert "CHAOS_LEASE_S" in capsys.readouterr().err


def test_backup_and_restore_by_command(
    command: Callable[..., int],
    database: Database,
    dataset_id: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    file = tmp_path / "one.db"
    assert command("backup", file) == 0
    assert command("restore", file) == 1
    assert "backup_refused" in capsys.readouterr().err
    monkeypatch.setenv("CHAOS_DATABASE_URL", f"sqlite:///{tmp_path / 'restored.db'}")
    assert command("restore", file) == 0
    assert command("doctor", "--deep") == 0
    restored = open_database(Settings())
    with restored.read() as session:
        assert session.get_one(Dataset, dataset_id).name == "three"
    restored.dispose()


def test_collecting_and_repairing_by_command(
    command: Callable[..., int],
    database: Database,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    DatabaseBlobs().store(database, [b"unused"])
    assert command("gc") == 0
    assert capsys.readouterr().out.startswith("0 blobs")
    monkeypatch.setenv("CHAOS_GC_GRACE_S", "0.0001")
    assert command("gc") == 0
    assert capsys.readouterr().out.startswith("1 blobs (6 bytes)")
    assert command("repair") == 0
    assert set(json.loads(capsys.readouterr().out).values()) == {0}


def test_how_long_jobs_are_kept_is_said_by_command(
    command: Callable[..., int], database: Database, project_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def kept() -> float | None:
        with database.read() as session:
            return session.get_one(Project, project_id).retention_s

    assert (command("retention", "2.5"), kept()) == (0, 216_000.0)
    assert (command("retention", "forever", "--project", project_id), kept()) == (0, None)
    for words in (("7", "--project", "prj_other"), ("-1",), ("nan",), ("soon",)):
        assert command("retention", *words) in (1, 2)
        assert capsys.readouterr().err
    assert kept() is None


def test_an_upgrade_by_command_saves_the_rows_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(data_dir=tmp_path)
    monkeypatch.setenv("CHAOS_DATA_DIR", str(tmp_path))
    assert main(["migrate", "--backup-into", str(tmp_path / "backups")]) == 0
    assert capsys.readouterr().out == ""
    migrate.downgrade(settings, "0001")
    from_before = open_database(settings)
    with from_before.write.begin() as session:
        session.connection().exec_driver_sql("INSERT INTO project (id, name, created_at) VALUES ('prj_1', 'old', 1.0)")
    from_before.dispose()
    assert main(["migrate", "--backup-into", str(tmp_path / "backups")]) == 0
    saved = Path(capsys.readouterr().out.strip())
    assert saved.parent == tmp_path / "backups" and saved.stat().st_size > 0
    assert main(["migrate", "--backup-into", str(tmp_path / "backups")]) == 0
    assert capsys.readouterr().out == ""
    assert backup.restore(Settings(data_dir=tmp_path / "elsewhere"), saved) == 1


def test_the_commands_run_as_a_program(settings: Settings, tmp_path: Path) -> None:
    environment = {**os.environ, "CHAOS_DATA_DIR": str(tmp_path), "CHAOS_DATABASE_URL": settings.database_url}
    program = [sys.executable, "-m", "chaos_store", "backup", str(tmp_path / "one.db")]
    done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tmp_path / 'one.db'}: 0 rows")
