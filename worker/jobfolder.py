"""Everything a runner needs to know, from the rows into one folder."""

from pathlib import Path

from sqlalchemy.orm import Session

from chaos_store import analyses, checkpoints, datasets, evaluations
from chaos_store.blobs import BlobStore
from chaos_store.errors import BlobCorrupt, NotFound
from chaos_store.jobs import Claim
from chaos_store.settings import Settings
from chaos_store.states import Kind
from chaos_store.tables import AnalysisRow, Dataset

from .journal import Journal
from .protocol import (
    CHECKPOINT_FILE,
    GENERATED_FILE,
    JOB_FILE,
    SERIES_FILE,
    START_FILE,
    UPLOAD_FILE,
    JobFile,
    Json,
)


class JobFolder:
    def __init__(self, journal: Journal, blobs: BlobStore, settings: Settings, path: Path) -> None:
        self._journal = journal
        self._claim: Claim = journal.claim
        self._blobs = blobs
        self._settings = settings
        self._path = path
        self.resumed_from: int | None = None

    def write(self) -> str | None:
        """Fills the folder; the id of the analysis in it, where there is one already."""
        claim = self._claim
        dataset = self._journal.read(lambda session: session.scalar(datasets.get(claim.project_id, claim.dataset_id)))
        if dataset is None:
            raise NotFound(f"There is no dataset {claim.dataset_id}.", kind="dataset", id=claim.dataset_id)
        self._fetch_data(dataset)
        analysis = self._find_analysis()
        known = analysis if claim.kind == Kind.train else None
        job = JobFile.model_validate(
            {
                "kind": claim.kind,
                "job_id": claim.job_id,
                "seed": claim.seed,
                "spec": claim.spec,
                "plan": claim.plan,
                "analysis": None if known is None else known.result,
                "options": self._options(dataset, analysis),
                "start": self._fetch_start(),
                "has_checkpoint": self._fetch_checkpoint(),
                "checkpoint_s": self._settings.checkpoint_s,
            }
        )
        (self._path / JOB_FILE).write_text(job.model_dump_json())
        return None if known is None else known.id

    def _fetch_data(self, dataset: Dataset) -> None:
        if self._claim.kind == Kind.ingest and dataset.content_sha256 is not None:
            self._fetch(dataset.content_sha256, UPLOAD_FILE)
        elif dataset.series_sha256 is not None:
            self._fetch(dataset.series_sha256, SERIES_FILE)
        else:
            raise NotFound(f"Dataset {dataset.id} holds no series.", kind="dataset", id=dataset.id)

    def _fetch_start(self) -> Json | None:
        """What the training starts from: its bytes stay with the job, whatever became of the parent."""
        start = self._claim.start
        if start is None:
            return None
        self._fetch(start["sha256"], START_FILE)
        return {"kind": start["kind"], "scaling": start["scaling"]}

    def _fetch_generated(self) -> Json:
        """The other trajectory of an evaluation, and how the two are compared."""
        claim = self._claim
        row = self._journal.read(lambda session: session.scalar(evaluations.of_job(claim.project_id, claim.job_id)))
        if row is None:
            raise NotFound(f"Job {claim.job_id} has no evaluation.", kind="evaluation", id=claim.job_id)
        self._fetch(row.generated_sha256, GENERATED_FILE)
        return row.options

    def _fetch_checkpoint(self) -> bool:
        """The newest that verifies; what came after it is forgotten."""
        claim = self._claim
        if claim.kind != Kind.train or claim.fence == 1:
            return False
        for saved in self._journal.read(lambda session: session.scalars(checkpoints.usable(claim.job_id)).all()):
            try:
                self._fetch(saved.sha256, CHECKPOINT_FILE)
            except BlobCorrupt as error:
                (self._path / CHECKPOINT_FILE).unlink()
                self._skip(saved.update, error.problem())
            else:
                self.resumed_from = saved.update
                break
        update = self.resumed_from
        self._journal.write(lambda session: checkpoints.resume_from(session, claim, update))
        return update is not None

    def _skip(self, update: int, problem: Json) -> None:
        self._journal.write(lambda session: checkpoints.mark_damaged(session, self._claim, update, problem))

    def _fetch(self, sha256: str, file: str) -> None:
        self._journal.fetch(self._blobs, sha256, self._path / file)

    def _find_analysis(self) -> AnalysisRow | None:
        """The one to make; for a training the one that the client named, else the newest without options.

        A training takes only what has a result.
        """
        claim = self._claim

        def act(session: Session) -> AnalysisRow | None:
            if claim.analysis_id is not None:
                named: AnalysisRow | None = session.scalar(analyses.get(claim.project_id, claim.analysis_id))
                if named is not None and (named.result is not None or claim.kind != Kind.train):
                    return named
            if claim.kind != Kind.train:
                return None
            newest: AnalysisRow | None = session.scalar(analyses.newest(claim.project_id, claim.dataset_id, done=True))
            return newest

        return self._journal.read(act)

    def _options(self, dataset: Dataset, analysis: AnalysisRow | None) -> Json:
        if self._claim.kind == Kind.analyse and analysis is not None:
            return analysis.options
        if self._claim.kind == Kind.evaluate:
            return self._fetch_generated()
        if self._claim.kind != Kind.ingest:
            return {}
        return {**dataset.options, **self._settings.reader_limits()}
