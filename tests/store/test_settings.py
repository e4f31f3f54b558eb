from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import make_url

from chaos_store.settings import Settings


def test_the_defaults_serve_a_laptop(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/chaos.db"
    assert settings.broker_url == f"redis+socket://{tmp_path}/run/broker.sock"
    assert settings.host == "127.0.0.1"
    assert settings.heartbeat_s < settings.lease_s / 2


def test_the_environment_is_read_with_its_prefix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHAOS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CHAOS_DATABASE_URL", "postgresql://user@host/name")
    monkeypatch.setenv("CHAOS_LEASE_S", "60")
    settings = Settings()
    assert (settings.data_dir, settings.database_url, settings.lease_s) == (
        tmp_path,
        "postgresql://user@host/name",
        60.0,
    )


def test_the_folder_is_absolute_so_that_all_processes_mean_the_same_one() -> None:
    assert Settings(data_dir=Path("somewhere")).data_dir == Path.cwd() / "somewhere"


@pytest.mark.parametrize("values", [{"lease_s": 0}, {"port": 70_000}, {"max_attempts": 0}, {"worker_slots": -1}])
def test_senseless_values_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate(values)


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("CHAOS_SECRETS_DIR", str(tmp_path))
    return tmp_path


def test_secrets_come_from_files_and_complete_the_urls(monkeypatch: pytest.MonkeyPatch, secrets: Path) -> None:
    (secrets / "chaos_database_password").write_text("p@ss/word:1\n")
    (secrets / "chaos_broker_password").write_text("hush\n")
    monkeypatch.setenv("CHAOS_DATABASE_URL", "postgresql://chaos@postgres/chaos")
    monkeypatch.setenv("CHAOS_BROKER_URL", "redis://valkey:6379/0")
    settings = Settings()
    url = make_url(settings.database_url)
    assert (url.username, url.password, url.host, url.database) == ("chaos", "p@ss/word:1", "postgres", "chaos")
    assert settings.broker_url == "redis://:hush@valkey:6379/0"
    assert "p@ss" not in repr(settings.database_password)


def test_a_whole_url_may_be_a_secret_and_the_environment_comes_first(
    monkeypatch: pytest.MonkeyPatch, secrets: Path
) -> None:
    (secrets / "chaos_database_url").write_text("postgresql://chaos:inside@postgres/chaos\n")
    (secrets / "chaos_database_password").write_text("unused")
    (secrets / "chaos_broker_url").write_text("redis://from-file/0")
    monkeypatch.setenv("CHAOS_BROKER_URL", "redis://from-environment/0")
    settings = Settings()
    assert settings.database_url == "postgresql://chaos:inside@postgres/chaos"
    assert settings.broker_url == "redis://from-environment/0"


def test_each_field_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
