"""Everything a runner needs to know, from the rows into one folder."""

from pathlib import Path

from sqlalchemy.orm import Session

from chaos_store import analyses, datasets, jobs
from chaos_store.blobs import BlobStore
from chaos_store.errors import BlobCorrupt, NotFound
from chaos_store.jobs import Claim
from chaos_store.settings import Settings
from chaos_store.states import Kind
from chaos_store.tables import AnalysisRow, Dataset

from .journal import Journal
from .protocol import CHECKPOINT_FILE, JOB_FILE, SERIES_FILE, UPLOAD_FILE, JobFile, Json


class JobFolder:
    def __init__(self, journal: Journal, blobs: BlobStore, settings: Settings, path: Path) -> None:
        self._journal = journal
        self._claim: Claim = journal.claim
        self._blobs = blobs
        self._settings = settings
        self._path = path

    def write(self) -> str | None:
        """Fills the folder; the id of the analysis in it, where there is one already."""
        claim = self._claim
        dataset = self._journal.read(lambda session: session.scalar(datasets.get(claim.project_id, claim.dataset_id)))
        if dataset is None:
            raise NotFound(f"There is no dataset {claim.dataset_id}.", kind="dataset", id=claim.dataset_id)
        self._fetch_data(dataset)
        analysis = self._find_analysis() if claim.kind == Kind.train else None
        job = JobFile.model_validate(
            {
                "kind": claim.kind,
                "job_id": claim.job_id,
                "seed": claim.seed,
                "spec": claim.spec,
                "plan": claim.plan,
                "analysis": None if analysis is None else analysis.result,
                "options": self._options(dataset),
                "has_checkpoint": self._fetch_checkpoint(),
                "checkpoint_s": self._settings.checkpoint_s,
            }
        )
        (self._path / JOB_FILE).write_text(job.model_dump_json())
        return None if analysis is None else analysis.id

    def _fetch_data(self, dataset: Dataset) -> None:
        if self._claim.kind == Kind.ingest:
            self._fetch(dataset.content_sha256, UPLOAD_FILE)
        elif dataset.series_sha256 is not None:
            self._fetch(dataset.series_sha256, SERIES_FILE)
        else:
            raise NotFound(f"Dataset {dataset.id} holds no series.", kind="dataset", id=dataset.id)

    def _fetch_checkpoint(self) -> bool:
        sha256 = self._claim.checkpoint_sha256
        if sha256 is None:
            return False
        try:
            self._fetch(sha256, CHECKPOINT_FILE)
        except BlobCorrupt as error:
            problem = error.problem()
            self._journal.write(lambda session: jobs.record_event(session, self._claim, "checkpoint_skipped", problem))
            return False
        return True

    def _fetch(self, sha256: str, file: str) -> None:
        self._journal.fetch(self._blobs, sha256, self._path / file)

    def _find_analysis(self) -> AnalysisRow | None:
        """The one that the client named, else the dataset's newest, where it has a result."""
        claim = self._claim

        def act(session: Session) -> AnalysisRow | None:
            if claim.analysis_id is not None:
                named: AnalysisRow | None = session.scalar(analyses.get(claim.project_id, claim.analysis_id))
                if named is not None and named.result is not None:
                    return named
            newest: AnalysisRow | None = session.scalar(analyses.newest(claim.project_id, claim.dataset_id, done=True))
            return newest

        return self._journal.read(act)

    def _options(self, dataset: Dataset) -> Json:
        if self._claim.kind != Kind.ingest:
            return {}
        limits = self._settings
        return {
            **dataset.options,
            "memory_bytes": limits.parse_memory_bytes,
            "cpu_s": limits.parse_cpu_s,
            "max_rows": limits.max_rows,
            "max_columns": limits.max_columns,
        }
