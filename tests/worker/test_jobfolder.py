"""What a training is told of its series: the analysis that the client named, or the newest without options."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from chaos_core.analysis_options import AUTOMATIC, AnalysisOptions
from chaos_core.systems import lorenz63
from chaos_store import analyses, datasets, jobs
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.settings import Settings
from chaos_store.tables import AnalysisRow
from worker.jobfolder import JobFolder
from worker.journal import Journal
from worker.protocol import JOB_FILE, JobFile

ODD = AnalysisOptions.model_validate({"dynamics": "map"})
Told = Callable[..., tuple[JobFile, str | None]]
Analysed = Callable[..., str]


@pytest.fixture
def dataset_id(database: Database, project_id: str) -> str:
    with database.write.begin() as session:
        content = DatabaseBlobs().put(session, [lorenz63(400).to_npz()])
        facts = {"format": "npy", "series_sha256": content.sha256, "rows": 400, "channels": 3, "dt": 0.01}
        facts |= {"names": ["x", "y", "z"], "missing_count": 0, "stretches": 1}
        return datasets.create(
            session, project_id=project_id, name="lorenz", content=content, facts=datasets.Facts(**facts)
        ).id


@pytest.fixture
def told(database: Database, settings: Settings, project_id: str, dataset_id: str, tmp_path: Path) -> Told:
    def ask(kind: str = "train", analysis_id: str | None = None) -> tuple[JobFile, str | None]:
        with database.write.begin() as session:
            job = jobs.create(
                session,
                project_id=project_id,
                kind=kind,
                dataset_id=dataset_id,
                analysis_id=analysis_id,
                max_attempts=2,
            )
            claim = jobs.claim(session, job.id, "w", 6.0)
        assert claim is not None
        folder = tmp_path / job.id
        folder.mkdir()
        found = JobFolder(Journal(database, claim, 6.0), DatabaseBlobs(), settings, folder).write()
        return JobFile.model_validate_json((folder / JOB_FILE).read_bytes()), found

    return ask


@pytest.fixture
def analysed(database: Database, project_id: str, dataset_id: str) -> Analysed:
    def make(options: AnalysisOptions = AUTOMATIC, tau: int | None = None) -> str:
        with database.write.begin() as session:
            row, _ = analyses.request(
                session, project_id=project_id, dataset_id=dataset_id, max_attempts=1, options=options
            )
            if tau is not None:
                analyses.save_result(session, row.id, {"tau": tau})
            return row.id

    return make


def test_a_training_never_meets_options_that_it_did_not_name(told: Told, analysed: Analysed) -> None:
    odd = analysed(ODD, 99)
    job, analysis_id = told()
    assert (job.analysis, analysis_id) == (None, None)
    plain = analysed(AUTOMATIC, 3)
    analysed(ODD, 98)
    analysed(AUTOMATIC)
    job, analysis_id = told()
    assert (job.analysis, analysis_id, job.options) == ({"tau": 3}, plain, {})
    job, analysis_id = told(analysis_id=odd)
    assert (job.analysis, analysis_id) == ({"tau": 99}, odd)


def test_a_training_makes_its_own_where_the_analyser_has_changed(
    told: Told, analysed: Analysed, database: Database
) -> None:
    old = analysed(AUTOMATIC, 3)
    with database.write.begin() as session:
        session.execute(update(AnalysisRow).values(analyser_version=0))
    assert told()[0].analysis is None
    assert told(analysis_id=old)[0].analysis == {"tau": 3}


def test_an_analysis_is_told_its_own_options(told: Told, analysed: Analysed) -> None:
    assert told("analyse", analysed(ODD))[0].options == {"dynamics": "map"}
    job, analysis_id = told("analyse", analysed(AUTOMATIC, 3))
    assert (job.options, job.analysis, analysis_id) == ({}, None, None)
