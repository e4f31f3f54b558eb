"""Keys, projects and quotas from the command line, where no key is needed."""

import pytest

from chaos_store import keys
from chaos_store.__main__ import main
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import Project


@pytest.fixture(autouse=True)
def _told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOS_DATABASE_URL", settings.database_url)


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(list(words)) == code
    captured = capsys.readouterr()
    return (captured.err if code else captured.out).strip()


def test_keys_are_issued_listed_and_revoked(
    database: Database, project_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = said(capsys, "issue-key", "--scope", "read", "--scope", "operator", "--days", "2", "--", "dash board")
    with database.read() as session:
        key = session.scalars(keys.find(secret)).one()
        assert (key.project_id, key.scopes, key.name) == (project_id, ["read", "operator"], "dash board")
        assert key.expires_at == pytest.approx(key.created_at + 2 * 86_400, abs=60)
    line = said(capsys, "keys", "--project", project_id)
    assert line.startswith(f"{key.id}  {project_id}  active until 20") and line.endswith("read,operator  dash board")
    assert said(capsys, "revoke-key", key.id) == f"{key.id} is revoked"
    assert said(capsys, "revoke-key", key.id) == f"{key.id} was revoked before"
    assert "  revoked until" in said(capsys, "keys")
    assert "not_found" in said(capsys, "revoke-key", "key_none", code=1)
    assert "not_found" in said(capsys, "issue-key", "x", "--project", "prj_none", code=1)


def test_projects_are_made_and_limited(database: Database, project_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    made, secret = said(capsys, "create-project", "ocean").split("\n")
    with database.read() as session:
        assert session.scalars(keys.find(secret)).one().project_id == made
    line = said(capsys, "quota", "--project", made, "--bytes", "1000", "--core-hours", "2.5")
    assert line == f"{made}  bytes 1000, jobs unlimited, core hours 2.5; jobs kept for ever  ocean"
    assert "bytes unlimited, jobs 3" in said(capsys, "quota", "--project", made, "--bytes", "none", "--jobs", "3")
    with database.read() as session:
        row = session.get_one(Project, made)
        assert (row.quota_bytes, row.quota_jobs, row.quota_core_hours) == (None, 3, 2.5)
    assert said(capsys, "projects").split("\n")[0].startswith(project_id)


@pytest.mark.parametrize(
    "words",
    [
        ("quota", "--bytes", "-1"), ("quota", "--core-hours", "nan"), ("quota", "--jobs", "many"),
        ("issue-key", "x", "--days", "0"), ("issue-key", "x", "--scope", "root"),
    ],
)  # fmt: skip
def test_a_mistake_on_the_command_line_is_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(list(words))
    assert refused.value.code == 2
    assert "error" in capsys.readouterr().err
