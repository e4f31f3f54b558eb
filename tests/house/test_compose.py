"""The compose file and the image recipe against what the code offers: no daemon is needed to see that they fit."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url

from api.__main__ import GRACE_S
from chaos_store.settings import Settings
from tests.house.tree import PACKAGES, ROOT
from worker.sending.__main__ import PULSE_FILE
from worker.sending.sender import STOP_GRACE_S
from worker.supervisor import SAVING_GRACE_S

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
WORKERS = [name for name in OURS if SERVICES[name]["command"][-1] == "worker"]
SETTINGS = {f"CHAOS_{name.upper()}" for name in Settings.model_fields} | {"CHAOS_SECRETS_DIR"}
UNITS = {"k": 1024, "m": 1024**2, "g": 1024**3}


def size(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def limits(name: str) -> dict[str, str]:
    found: dict[str, str] = SERVICES[name]["deploy"]["resources"]["limits"]
    return found


def recipe() -> list[list[str]]:
    """The Dockerfile's instructions as words."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [shlex.split(line) for line in lines]


def stages() -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    for words in recipe():
        if words[0] == "FROM":
            found[words[3]] = [words]
        elif found:
            found[list(found)[-1]].append(words)
    return found


def test_what_must_run_is_there() -> None:
    assert {"api", "worker", "worker-light", "worker-gpu", "sender", "migrate", "postgres", "valkey"} == set(SERVICES)
    assert SERVICES["worker-gpu"]["profiles"] == ["gpu"]
    assert {SERVICES[name]["environment"]["CHAOS_WORKER_KINDS"] for name in WORKERS} == {"light", "train"}


@pytest.mark.parametrize("name", OURS)
def test_the_commands_are_those_of_the_code(name: str) -> None:
    python, flag, module, *arguments = SERVICES[name]["command"]
    assert (python, flag) == ("python", "-m")
    assert importlib.util.find_spec(f"{module}.__main__") is not None
    if arguments:
        asked = subprocess.run([sys.executable, "-m", module, *arguments, "--help"], capture_output=True, check=False)
        assert asked.returncode == 0, asked.stderr


@pytest.mark.parametrize("name", OURS)
def test_the_variables_are_settings_and_lead_to_the_neighbours(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable, value in SERVICES[name]["environment"].items():
        assert variable in SETTINGS
        monkeypatch.setenv(variable, value)
    for secret in SERVICES[name]["secrets"]:
        (tmp_path / secret["target"]).write_text("hush\n")
    monkeypatch.setenv("CHAOS_SECRETS_DIR", str(tmp_path))
    settings = Settings()
    database, broker = make_url(settings.database_url), make_url(settings.broker_url)
    postgres = SERVICES["postgres"]["environment"]
    assert (database.host, database.username, database.database) == (
        "postgres", postgres["POSTGRES_USER"], postgres["POSTGRES_DB"],
    )  # fmt: skip
    assert (broker.host, database.password, broker.password) == ("valkey", "hush", "hush")


def test_each_secret_is_a_file_outside_of_git_and_read_by_somebody() -> None:
    used = {entry if isinstance(entry, str) else entry["source"] for s in SERVICES.values() for entry in s["secrets"]}
    assert used == set(COMPOSE["secrets"])
    assert all(secret["file"].startswith("./secrets/") for secret in COMPOSE["secrets"].values())
    assert "/secrets/" in (ROOT / ".gitignore").read_text().split()
    assert "POSTGRES_PASSWORD" not in SERVICES["postgres"]["environment"]
    assert SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/database_password"


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_limits_a_pinned_image_and_a_health_check_or_an_end(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z/-]+:[a-z0-9-]+", service["image"]) and not service["image"].endswith(":latest")
    assert size(limits(name)["memory"]) > 0 and float(limits(name)["cpus"]) > 0
    assert ("healthcheck" in service) != (service["restart"] == "no")
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", OURS)
def test_our_processes_write_into_a_folder_of_their_own_and_nowhere_else(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["init"]
    assert {"type": "volume", "target": "/data"} in service["volumes"], "unnamed, so shared with nobody"
    assert "user" not in service


def test_only_the_api_can_be_reached_and_only_from_this_host() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "api": [f"127.0.0.1:{Settings().port}:{Settings().port}"]
    }
    assert COMPOSE["networks"]["inside"]["internal"]
    assert [name for name, service in SERVICES.items() if "outside" in service["networks"]] == ["api", "sender"]


def test_webhooks_are_sent_by_the_one_that_has_a_way_out_and_runs_nothing_of_clients() -> None:
    assert SERVICES["sender"]["command"] == ["python", "-m", "worker.sending"]
    assert PULSE_FILE in SERVICES["sender"]["healthcheck"]["test"][1]
    assert {SERVICES[name]["environment"]["CHAOS_WEBHOOK_SENDER"] for name in WORKERS} == {"false"}
    assert seconds(SERVICES["sender"]["stop_grace_period"]) > 2 * STOP_GRACE_S


def test_everything_waits_for_the_migration_and_that_for_the_database() -> None:
    for name in set(OURS) - {"migrate"}:
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_each_process_has_the_time_that_it_takes_to_stop() -> None:
    assert seconds(SERVICES["api"]["stop_grace_period"]) > GRACE_S
    for name in WORKERS:
        assert seconds(SERVICES[name]["stop_grace_period"]) > 2 * SAVING_GRACE_S


def test_a_job_reaches_its_own_limit_before_that_of_its_container() -> None:
    for name in WORKERS:
        job = int(SERVICES[name]["environment"]["CHAOS_JOB_MEMORY_BYTES"])
        assert job + 512 * UNITS["m"] <= size(limits(name)["memory"])


def test_the_connections_of_all_fit_into_the_database() -> None:
    options = SERVICES["postgres"]["command"]
    allowed = next(int(word.split("=")[1]) for word in options if word.startswith("max_connections="))
    pool = 5 + 10
    assert 3 * pool + len(WORKERS) * pool + 20 <= allowed


def test_the_images_are_stages_of_the_recipe() -> None:
    found = stages()
    for name in OURS:
        assert SERVICES[name]["build"]["target"] in found
        for argument in SERVICES[name]["build"].get("args", {}):
            assert ["ARG", argument] in [[words[0], words[1].split("=")[0]] for words in recipe() if words[0] == "ARG"]
    trains = [name for name in WORKERS if SERVICES[name]["environment"]["CHAOS_WORKER_KINDS"] == "train"]
    assert {SERVICES[name]["build"]["target"] for name in trains} == {"train"}


@pytest.mark.parametrize("name", ["light", "train"])
def test_the_images_hold_no_build_tools_and_do_not_run_as_root(name: str) -> None:
    first, *rest = stages()[name]
    assert first[1] == "base"
    assert rest == [["COPY", f"--from={name}-packages", "/opt/chaos", "/opt/chaos"], ["USER", "10001:10001"]]


def test_the_environment_of_the_image_is_made_of_settings() -> None:
    words = next(words for words in stages()["base"] if words[0] == "ENV")
    names = {word.split("=")[0] for word in words[1:]}
    assert names - SETTINGS == {"PATH", "PYTHONUNBUFFERED", "TMPDIR"}
    assert "CHAOS_DATA_DIR=/data" in words
    assert ["EXPOSE", str(Settings().port)] in stages()["base"]


def test_what_the_recipe_copies_is_let_through_and_complete() -> None:
    copied = {word for words in stages()["wheel"] if words[0] == "COPY" for word in words[1:-1]}
    ignore = (ROOT / ".dockerignore").read_text().split()
    assert ignore[ignore.index("*") + 1 :][: len(copied)] == [word for word in ignore if word.startswith("!")]
    assert {f"!{name}" for name in copied} == {word for word in ignore if word.startswith("!")}
    assert copied >= {*PACKAGES, "migrations", "pyproject.toml", "hatch_build.py", "requirements.lock"}
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_runs_a_python_that_the_package_takes() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    image = next(words[1] for words in recipe() if words[0] == "ARG")
    version = re.fullmatch(r"PYTHON=python:(\d+)\.(\d+)-slim-[a-z]+", image)
    assert version and wanted == ">=3.11" and (int(version[1]), int(version[2])) >= (3, 11)


def test_compose_itself_takes_the_file(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("`docker compose` is not installed here")
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    (tmp_path / "secrets").mkdir()
    for name in COMPOSE["secrets"]:
        (tmp_path / "secrets" / name).write_text("hush\n")
    for profile in ([], ["--profile", "gpu"]):
        asked = subprocess.run(
            [docker, "compose", *profile, "config", "--quiet"], cwd=tmp_path, capture_output=True, check=False
        )
        assert asked.returncode == 0, asked.stderr
