"""The embedded service as a user runs it: `chaos serve`, real broker, real worker, real API."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from chaos_client.client import Client
from chaos_store import keys, migrate
from chaos_store.engine import open_database
from chaos_store.settings import Settings
from tests.e2e.conftest import lorenz, npy

ROOT = Path(__file__).parents[2]
ENDLESS = {
    "cell": {"kind": "clipped_shplrnn", "latent": 3, "hidden": 20},
    "training": {"updates": 5_000_000, "sequence_length": 30, "batch_size": 16, "restarts": 0},
}

STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_left() -> Iterator[None]:
    """A failed test leaves no service behind."""
    yield
    for process in STARTED:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=60)


def environment(**settings: str) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("CHAOS_")}
    return given | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"} | settings


def serve(folder: Path, *options: str, **settings: str) -> subprocess.Popen[str]:
    """As a user would: from the folder above, with a relative path."""
    command = [sys.executable, "-m", "chaos_client", "serve", "--data-dir", folder.name, "--port", "0", *options]
    started = subprocess.Popen(
        command,
        cwd=folder.parent,
        env=environment(**settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    STARTED.append(started)
    return started


def chaos(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chaos_client", *words, "--data-dir", str(folder)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)


def ready(process: subprocess.Popen[str], folder: Path) -> Client:
    record = folder / "service.json"
    mine = f'"pid": {process.pid},'
    until(lambda: (record.exists() and mine in record.read_text()) or process.poll() is not None, 120)
    assert process.poll() is None, process.communicate()[1]
    return Client.local(folder)


def end(process: subprocess.Popen[str]) -> str:
    """Stops it in order; what it had said."""
    process.terminate()
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 0, said
    return " ".join(said.split())


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def parts(service: psutil.Process, module: str) -> list[psutil.Process]:
    found = []
    for child in service.children():
        with suppress(psutil.NoSuchProcess):  # a zombie is one too
            if module in child.cmdline():
                found.append(child)
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, psutil.Process]]:
    folder = tmp_path_factory.mktemp("service")
    process = serve(folder)
    ready(process, folder).close()
    service = psutil.Process(process.pid)
    yield folder, service
    family = service.children(recursive=True)
    process.terminate()
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert "stopped" in said
    assert not (folder / "service.json").exists()
    assert psutil.wait_procs(family, timeout=5)[1] == []


def test_the_record_is_private_and_says_where_the_service_is(running: tuple[Path, psutil.Process]) -> None:
    folder, service = running
    path = folder / "service.json"
    assert path.stat().st_mode & 0o777 == 0o600
    record = json.loads(path.read_text())
    assert record["pid"] == service.pid
    assert httpx.get(f"{record['url']}/readyz").status_code == 200
    assert httpx.get(f"{record['url']}/v1/jobs").status_code == 401
    with Client.local(folder) as client:
        assert client.get("/v1/jobs")["data"] == []


def test_it_listens_on_this_machine_only(running: tuple[Path, psutil.Process]) -> None:
    listening = [c.laddr.ip for c in running[1].net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]


def test_the_key_is_stored_as_a_hash_only(running: tuple[Path, psutil.Process]) -> None:
    folder = running[0]
    key = (folder / "api_key").read_text().strip()
    assert (folder / "api_key").stat().st_mode & 0o777 == 0o600
    held = b"".join(path.read_bytes() for path in folder.glob("chaos.db*"))
    assert key.encode() not in held


def test_a_second_service_on_the_same_folder_is_refused_with_a_reason(running: tuple[Path, psutil.Process]) -> None:
    folder, service = running
    second = serve(folder)
    said = second.communicate(timeout=120)[1]
    assert second.returncode == 1
    assert f"another service already uses {folder} (pid {service.pid})" in " ".join(said.split())
    assert (folder / "service.json").exists()


def test_a_taken_port_is_refused_with_a_reason(running: tuple[Path, psutil.Process], tmp_path: Path) -> None:
    port = json.loads((running[0] / "service.json").read_text())["url"].rsplit(":", 1)[1]
    second = serve(tmp_path, "--port", port)
    said = second.communicate(timeout=120)[1]
    assert second.returncode == 1
    assert "Use --port 0 for any free port" in " ".join(said.split())


@pytest.mark.parametrize("module", ["api", "worker"])
def test_a_killed_part_is_replaced_and_requests_go_on(running: tuple[Path, psutil.Process], module: str) -> None:
    folder, service = running
    victim = parts(service, module)[0]
    victim.send_signal(signal.SIGKILL)
    with Client.local(folder) as client:
        assert client.get("/v1/jobs")["object"] == "list"
    until(lambda: any(child.pid != victim.pid for child in parts(service, module)))
    with Client.local(folder) as client:
        assert client.get("/v1/jobs")["object"] == "list"


def test_data_and_key_outlive_a_restart_in_order(tmp_path: Path) -> None:
    secrets, said = [], []
    for _ in range(2):
        process = serve(tmp_path)
        with ready(process, tmp_path) as client:
            assert client.get("/v1/datasets")["data"] == []
        secrets.append(json.loads((tmp_path / "service.json").read_text())["api_key"])
        process.send_signal(signal.SIGINT)
        said.append(process.communicate(timeout=60)[1])
        assert process.returncode == 0
    assert secrets[0] == secrets[1]
    assert "repaired" not in "".join(said), "nothing was broken"
    assert not (tmp_path / "backups").exists(), "nothing was upgraded"


def test_the_next_start_repairs_what_kill_9_of_everything_left_and_says_so(tmp_path: Path) -> None:
    process = serve(tmp_path, CHAOS_CHECKPOINT_S="0.5", CHAOS_LEASE_S="600")
    with ready(process, tmp_path) as client:
        dataset = client.upload("lorenz.npy", npy(lorenz(2000)), dt="0.05")
        job_id = client.train(dataset["id"], ENDLESS)["id"]
        until(lambda: (client.get(f"/v1/jobs/{job_id}")["progress"]["update"] or 0) > 100, 60)
    facts = json.loads((tmp_path / "service.json").read_text())
    service = psutil.Process(process.pid)
    family = service.children(recursive=True)
    (frozen,) = parts(service, "api")
    frozen.suspend()
    for member in (service, *(child for child in family if child != frozen)):
        member.kill()
    process.communicate()
    again = serve(tmp_path, "--port", facts["url"].rsplit(":", 1)[1], CHAOS_CHECKPOINT_S="0.5", CHAOS_LEASE_S="600")
    with ready(again, tmp_path) as client:
        assert psutil.wait_procs(family, timeout=5)[1] == []
        until(lambda: client.get(f"/v1/jobs/{job_id}")["attempt"] == 2, 20)
        client.cancel(job_id)
        assert client.wait(job_id)["status"] == "cancelled"
    said = end(again)
    repaired = re.search(r"repaired after a hard stop: ([^:]*) jobs put back", said)
    assert repaired, said
    assert "1 processes ended" in repaired[1] and repaired[1].endswith(" 1"), said


def test_an_upgrade_is_preceded_by_a_backup_of_the_rows(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    newest = migrate.revisions()[-1]
    migrate.upgrade(settings)
    database = open_database(settings)
    with database.write.begin() as session:
        project_id = keys.create_project(session, "kept").id
    database.dispose()
    migrate.downgrade(settings, "-1")
    process = serve(tmp_path)
    with ready(process, tmp_path) as client:
        assert client.get("/readyz")["checks"]["migrations"] == "ok"
    saved = tmp_path / "backups" / f"before-{newest}.db"
    assert f"backup before the upgrade: {saved}" in end(process)
    with closing(sqlite3.connect(saved)) as backup:
        assert backup.execute("SELECT version_num FROM alembic_version").fetchone() != (newest,)
        assert backup.execute("SELECT id FROM project WHERE name = 'kept'").fetchone() == (project_id,)


def test_a_part_that_cannot_live_ends_the_service_with_the_reason(tmp_path: Path) -> None:
    """The worker finds a file where its folder should be; only the patience is shortened here."""
    (tmp_path / "scratch").write_text("in the way")
    hasty = (
        "import chaos_client.children as children; children.FIRST_BACKOFF_S = 0.05; children.GIVE_UP_AFTER = 2\n"
        "from chaos_client.cli.main import app; app()"
    )
    command = [sys.executable, "-c", hasty, "serve", "--data-dir", str(tmp_path), "--port", "0"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120, check=False)
    said = " ".join(done.stderr.split())
    assert done.returncode == 1
    assert "error: worker died 3 times in a row (last exit 1). The end of" in said
    assert "FileExistsError" in said
    assert not (tmp_path / "service.json").exists()


def test_doctor_finds_a_running_service_well_and_backup_restore_and_gc_work_beside_it(
    running: tuple[Path, psutil.Process], tmp_path: Path
) -> None:
    folder = running[0]
    with Client.local(folder) as client:
        dataset = client.upload("lorenz.npy", npy(lorenz(300)), name="kept", dt="0.05")
    looked = chaos(folder, "doctor", "--deep")
    assert looked.returncode == 0, looked.stdout
    assert json.loads(chaos(folder, "doctor", "--json").stdout)["ok"] is True
    saved, elsewhere = tmp_path / "saved.db", tmp_path / "elsewhere"
    assert chaos(folder, "admin", "backup", str(saved)).returncode == 0
    assert chaos(folder, "admin", "gc").returncode == 0
    assert chaos(folder, "admin", "retention", "30").returncode == 0
    refused = chaos(folder, "admin", "restore", str(saved))
    assert refused.returncode == 1 and "another service already uses" in refused.stderr
    assert chaos(elsewhere, "admin", "restore", str(saved)).returncode == 0
    again = chaos(elsewhere, "admin", "restore", str(saved))
    assert again.returncode == 1 and "backup_refused" in again.stderr
    other = serve(elsewhere, "--port", "0")
    ready(other, elsewhere).close()
    key = (folder / "api_key").read_text().strip()
    with Client(json.loads((elsewhere / "service.json").read_text())["url"], key) as client:
        (found,) = client.get("/v1/datasets")["data"]
        assert found["id"] == dataset["id"]
    end(other)
    stopped = chaos(elsewhere, "doctor")
    assert stopped.returncode == 1 and "BAD broker" in " ".join(stopped.stdout.split())
