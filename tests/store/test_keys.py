import pytest

from chaos_store import keys
from chaos_store.__main__ import main
from chaos_store.engine import Database, open_database
from chaos_store.settings import Settings
from chaos_store.tables import ApiKey, Project


def test_a_key_is_found_by_its_secret_of_which_only_the_sum_is_stored(database: Database, project_id: str) -> None:
    with database.write.begin() as session:
        key, secret = keys.issue(session, project_id, "laptop")
    assert secret.startswith("chaos_")
    assert len(secret) > 40
    with database.read() as session:
        found = session.scalars(keys.find(secret)).one()
        assert (found.id, found.project_id) == (key.id, project_id)
        assert secret not in [getattr(found, column.key) for column in ApiKey.__table__.columns]
        assert session.scalars(keys.find(secret + "x")).first() is None


def test_a_revoked_key_is_no_longer_found(database: Database, project_id: str) -> None:
    with database.write.begin() as session:
        key, secret = keys.issue(session, project_id, "lost")
        assert not keys.revoke(session, "prj_other", key.id)
        assert keys.revoke(session, project_id, key.id)
        assert not keys.revoke(session, project_id, key.id)
    with database.read() as session:
        assert session.scalars(keys.find(secret)).first() is None


def test_the_first_key_is_made_once_and_another_only_by_force_in_the_same_project(database: Database) -> None:
    with database.write.begin() as session:
        secret = keys.first(session)
        assert secret is not None
        assert keys.first(session) is None
        another = keys.first(session, force=True)
        assert another is not None
        owners = {session.scalars(keys.find(each)).one().project_id for each in (secret, another)}
        assert len(owners) == 1
        assert session.query(Project).count() == 1


def test_the_command_migrates_and_prints_the_first_secret_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHAOS_DATABASE_URL", settings.database_url)
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["first-key"]) == 0
    secret = capsys.readouterr().out.strip()
    assert main(["first-key"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["first-key", "--force"]) == 0
    assert capsys.readouterr().out.strip() not in ("", secret)
    database = open_database(settings)
    with database.read() as session:
        assert session.scalars(keys.find(secret)).first() is not None
    database.dispose()
