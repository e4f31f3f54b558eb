"""Light jobs share one process without torch, which is left when it has grown old, large or has failed."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy.orm import Session

import worker.spare
from chaos_core.analysis_options import AUTOMATIC, AnalysisOptions
from chaos_core.systems import lorenz63
from chaos_store import analyses, artifacts, commands, datasets, jobs
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import Dataset, Job
from worker.journal import Journal
from worker.spare import Runner, Spares
from worker.supervisor import Supervisor

CSV = b"time,x\n" + b"".join(b"%d,%d\n" % (row, row * row % 101) for row in range(300))


class Bench:
    """Runs light jobs as a worker does."""

    def __init__(self, database: Database, settings: Settings, project_id: str, folder: Path) -> None:
        self.database, self.settings, self.project_id, self.folder = database, settings, project_id, folder
        self.spares = Spares(folder, training=False)
        self.runners: list[Runner] = []
        self.took_s: list[float] = []

    def upload(self, raw: bytes) -> str:
        with self.database.write.begin() as session:
            content = DatabaseBlobs().put(session, [raw])
            options = {"name": "squares.csv"}
            dataset = datasets.create(
                session, project_id=self.project_id, name="squares", content=content, options=options
            )
            return self._job(session, "ingest", dataset.id)

    def analysis(self, rows: int = 400, options: AnalysisOptions = AUTOMATIC) -> str:
        with self.database.write.begin() as session:
            content = DatabaseBlobs().put(session, [lorenz63(rows, dt=0.05).to_npz()])
            facts = {"format": "npy", "series_sha256": content.sha256, "rows": rows, "channels": 3, "dt": 0.05}
            facts |= {"names": ["x", "y", "z"], "missing_count": 0, "stretches": 1}
            dataset = datasets.create(
                session, project_id=self.project_id, name="lorenz", content=content, facts=datasets.Facts(**facts)
            )
            request = {"project_id": self.project_id, "dataset_id": dataset.id, "max_attempts": 2}
            return analyses.request(session, options=options, **request)[1].id

    def _job(self, session: Session, kind: str, dataset_id: str) -> str:
        return jobs.create(session, project_id=self.project_id, kind=kind, dataset_id=dataset_id, max_attempts=2).id

    def run(self, job_id: str) -> Job:
        began_at = time.monotonic()
        with self.database.write.begin() as session:
            claim = jobs.claim(session, job_id, "w", 6.0)
        assert claim is not None
        runner = self.spares.take(claim.kind)
        journal = Journal(self.database, claim, 6.0)
        folder = self.folder / job_id
        Supervisor(journal, DatabaseBlobs(), self.settings, threading.Event(), folder).run(runner)
        self.took_s.append(time.monotonic() - began_at)
        self.spares.give_back(runner)
        self.runners.append(runner)
        assert not folder.exists()
        return self.job(job_id)

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return session.scalars(jobs.get(self.project_id, job_id)).one()

    def dataset(self, dataset_id: str) -> Dataset:
        with self.database.read() as session:
            return session.scalars(datasets.get(self.project_id, dataset_id)).one()

    @property
    def pids(self) -> list[int]:
        return [runner.pid for runner in self.runners]


@pytest.fixture
def settings(sqlite_settings: Settings) -> Settings:
    return sqlite_settings


@pytest.fixture
def bench(database: Database, settings: Settings, project_id: str, tmp_path: Path) -> Iterator[Bench]:
    folder = tmp_path / "scratch"
    folder.mkdir()
    made = Bench(database, settings, project_id, folder)
    yield made
    made.spares.close()
    assert not [pid for pid in made.pids if psutil.pid_exists(pid)]


def test_light_jobs_run_one_after_another_in_one_process_without_torch(bench: Bench) -> None:
    kinds = [bench.run(bench.analysis()), bench.run(bench.upload(CSV)), bench.run(bench.analysis(500))]
    assert [job.status for job in kinds] == ["succeeded"] * 3, [job.error for job in kinds]
    assert bench.dataset(kinds[1].dataset_id).rows == 300
    assert len(set(bench.pids)) == 1
    maps = psutil.Process(bench.pids[0]).memory_maps()
    assert not [file.path for file in maps if "libtorch" in file.path]


def test_an_analysis_follows_the_options_of_its_row_and_is_drawn(bench: Bench) -> None:
    options = AnalysisOptions.model_validate({"embedding": {"dim": 2, "lag": 3}, "theiler_steps": 17})
    job = bench.run(bench.analysis(options=options))
    assert job.status == "succeeded" and job.analysis_id is not None, job.error
    with bench.database.read() as session:
        row = session.scalars(analyses.get(bench.project_id, job.analysis_id)).one()
        picture = session.scalars(artifacts.named(bench.project_id, job.id, "divergence.png")).one()
    assert row.result is not None
    assert row.result["options"] == options.model_dump(mode="json")
    assert (row.result["embedding"], row.result["theiler_steps"]) == ({"dim": 2, "lag": 3}, 17)
    assert (picture.media_type, picture.size > 1000) == ("image/png", True)


def test_options_that_the_series_does_not_bear_end_the_job_with_their_code(bench: Bench) -> None:
    for given, code in (
        ({"embedding": {"dim": 3, "lag": 150}}, "too_short"),
        ({"period_steps": 300}, "inconsistent_spec"),
    ):
        job = bench.run(bench.analysis(options=AnalysisOptions.model_validate(given)))
        assert job.status == "failed" and job.error is not None
        assert job.error["code"] == code


def test_a_process_whose_job_failed_or_that_was_killed_while_it_waited_is_replaced(bench: Bench) -> None:
    bad = bench.run(bench.upload(b"x,y\n1,2\n3,oops\n"))
    assert bad.status == "failed" and bad.error is not None and bad.error["code"] == "column_not_numeric"
    assert bench.run(bench.upload(CSV)).status == "succeeded"
    waiting = bench.runners[-1]
    waiting.kill()
    while waiting.alive():
        time.sleep(0.01)
    assert bench.run(bench.upload(CSV + b"300,1\n")).status == "succeeded"
    assert len(set(bench.pids)) == 3


def test_a_cancelled_light_job_ends_with_its_process(bench: Bench) -> None:
    job_id = bench.analysis(20_000)
    timer = threading.Timer(0.3, lambda: _cancel(bench, job_id))
    timer.start()
    assert bench.run(job_id).status == "cancelled"
    timer.join()
    assert bench.run(bench.upload(CSV)).status == "succeeded"


def _cancel(bench: Bench, job_id: str) -> None:
    with bench.database.write.begin() as session:
        commands.request_cancel(session, bench.project_id, job_id)


@pytest.mark.parametrize(("name", "value"), [("JOBS_PER_RUNNER", 1), ("MOST_BYTES", 1)])
def test_an_old_or_large_process_is_not_used_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    monkeypatch.setattr(worker.spare, name, value)
    assert bench.run(bench.upload(CSV)).status == bench.run(bench.upload(CSV + b"300,1\n")).status == "succeeded"
    assert len(set(bench.pids)) == 2


def test_while_a_light_process_works_no_other_is_started(bench: Bench) -> None:
    def running() -> int:
        return sum("worker.runner.light" in child.cmdline() for child in psutil.Process().children())

    bench.spares.refresh()
    bench.spares.refresh()
    assert running() == 1
    runner = bench.spares.take("analyse")
    bench.spares.refresh()
    assert running() == 1
    bench.spares.give_back(runner)
    assert running() == 0, "one that says nothing is not taken back"
