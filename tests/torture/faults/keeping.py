"""Backups taken under load, and memory over many jobs."""

import json
import os
import time
from pathlib import Path

import psutil

from chaos_store.settings import Settings
from tests.torture import ledger as books
from tests.torture.client import FINISHED
from tests.torture.processes import resident
from tests.torture.scene import Scene

MIB = 1024 * 1024
GROWTH_LIMIT = 0.05
WARM_SHARE = 4


def backup(stage: Scene) -> None:
    """A backup while jobs run, restored into an empty database elsewhere: whole, and with all that had ended."""
    stage.load.submit(stage.order.jobs // 2, 120)
    stage.load.drain(60)
    ended = {job["id"] for job in stage.client.pages("/v1/jobs") if job["status"] in FINISHED}
    stage.load.train_any(0)
    for _ in range(8):
        stage.load.analyse_any()
    file, began = stage.deployment.folder / "backup.db", time.monotonic()
    stage.deployment.run("chaos_store", "backup", str(file))
    stage.ledger.fact("backup", f"{file.stat().st_size / MIB:.1f} MiB in {time.monotonic() - began:.1f} s, under load")
    elsewhere = Settings(data_dir=stage.deployment.folder / "elsewhere")
    environment = {"CHAOS_DATA_DIR": str(elsewhere.data_dir), "CHAOS_DATABASE_URL": elsewhere.database_url}
    began = time.monotonic()
    stage.deployment.run("chaos_store", "restore", str(file), environment=environment)
    stage.ledger.fact("restored", f"into SQLite in {time.monotonic() - began:.1f} s")
    _compare(stage, elsewhere, ended)
    again = stage.deployment.run("chaos_store", "restore", str(file), environment=environment, check=False)
    stage.ledger.must_be_empty("a full database overwritten", [] if again.returncode == 1 else [str(again.returncode)])
    told = stage.deployment.run("chaos_store", "doctor", "--deep", "--json", environment=environment, check=False)
    findings = json.loads(told.stdout or '{"findings": []}')["findings"]
    bad = [str(finding) for finding in findings if not finding["ok"] and finding["name"] not in ("broker",)]
    stage.ledger.must_be_empty("doctor --deep of the restored", bad if findings else [told.stderr[-300:]])
    stage.load.drain(120)
    stage.close_books()


def _compare(stage: Scene, elsewhere: Settings, ended: set[str]) -> None:
    wanted = books.finished_jobs(stage.deployment.settings)
    held = books.finished_jobs(elsewhere)
    stage.ledger.fact("ended before the backup", len(ended))
    lost = [job_id for job_id in ended if held.get(job_id) != wanted[job_id]]
    stage.ledger.must_be_empty("ended jobs missing in the backup", lost)
    stage.ledger.must_be_empty("jobs running in the restored", books.running_jobs(elsewhere))


def memory2000(stage: Scene) -> None:
    """Many jobs through one worker: the memory of API and worker after a quarter of them and after all."""
    count = stage.order.jobs
    _run_through(stage, count // WARM_SHARE)
    warm = _memory(stage)
    stage.say(f"after {count // WARM_SHARE}: {warm}")
    _run_through(stage, count)
    full = _memory(stage)
    growth = {role: full[role] / warm[role] - 1 for role in warm}
    for role in warm:
        stage.ledger.fact(f"memory of {role}", f"{warm[role]:.0f} MiB, then {full[role]:.0f} ({growth[role]:+.1%})")
    grown = [f"{role} {share:+.1%}" for role, share in growth.items() if share > GROWTH_LIMIT]
    stage.ledger.must_be_empty("grown by more than 5 %", grown)
    stage.close_books()


def _run_through(stage: Scene, count: int) -> None:
    while len(stage.load.accepted.jobs()) < count:
        if stage.load.outstanding() < 20:
            stage.load.analyse_any()
        else:
            time.sleep(0.2)
    stage.load.drain(600)


def _memory(stage: Scene) -> dict[str, float]:
    time.sleep(2)
    roles = {role: stage.deployment.processes(role) for role in ("api", "worker")}
    found = {role: sum(map(resident, members)) / MIB for role, members in roles.items()}
    threads = sum(process.num_threads() for process in roles["worker"])
    files = sum(process.num_fds() for process in roles["worker"])
    stage.say(f"worker: {threads} threads, {files} files")
    return found


def idle(stage: Scene) -> None:
    """What the processes cost when nothing is to be done."""
    time.sleep(5)
    members = [process for process in stage.deployment.members() if process.pid != os.getpid()]
    before = {process: sum(process.cpu_times()[:2]) for process in members}
    seconds = 20.0
    time.sleep(seconds)
    for process, used in before.items():
        try:
            share = (sum(process.cpu_times()[:2]) - used) / seconds
            told = " ".join(Path(word).name for word in process.cmdline()[:4])
        except psutil.NoSuchProcess:
            continue
        stage.ledger.fact(told[:40], f"{resident(process) / MIB:.0f} MiB, {share:.1%} of a core")
