"""What a run leaves behind: blobs as they come, rows in one transaction with the job's end."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from chaos_core.errors import ChaosError
from chaos_store import analyses, artifacts, checkpoints, datasets, jobs, trained, trajectories
from chaos_store.blobs import BlobRef, BlobStore
from chaos_store.checkpoints import BestModel
from chaos_store.errors import StorageFull
from chaos_store.redaction import Redactor
from chaos_store.settings import Settings
from chaos_store.states import Kind
from chaos_store.tables import Artifact
from chaos_store.transitions import hold

from .journal import Journal
from .protocol import ArtifactMade, CheckpointSaved, Json, PlanMade

log = logging.getLogger(__name__)


class Kept(NamedTuple):
    made: ArtifactMade
    blob: BlobRef


class Delivery:
    def __init__(self, journal: Journal, blobs: BlobStore, folder: Path, settings: Settings) -> None:
        self._journal = journal
        self._claim = journal.claim
        self._blobs = blobs
        self._folder = folder
        self._keep_checkpoints = settings.keep_checkpoints
        self._redactor = Redactor.of(settings)
        self._kept: list[Kept] = []
        self._analysis: Json | None = None
        self.analysis_id: str | None = None
        self.plan_hash: str | None = None
        self.values: Json = {}

    def keep(self, made: ArtifactMade) -> None:
        self._kept.append(Kept(made, self._journal.store(self._blobs, self._folder / made.file)))

    def save_checkpoint(self, saved: CheckpointSaved) -> None:
        """Where there is no room the training goes on with the checkpoint before."""
        claim, keep, path = self._claim, self._keep_checkpoints, self._folder / saved.file
        try:
            blob = self._journal.store(self._blobs, path, patience_s=0)
            model = None if saved.model is None else self._store_best(saved.model)
            self._journal.write(
                lambda session: checkpoints.save(
                    session, claim, blob, saved.update, best=saved.best, keep=keep, model=model
                )
            )
        except StorageFull as error:
            log.warning("no checkpoint at update %d: %s", saved.update, error.detail)
        finally:
            path.unlink(missing_ok=True)

    def _store_best(self, made: ArtifactMade) -> BestModel:
        path = self._folder / made.file
        try:
            blob = self._journal.store(self._blobs, path, patience_s=0)
        finally:
            path.unlink(missing_ok=True)
        return BestModel(blob, {"name": made.name, "media_type": made.media_type}, made.facts)

    def save_analysis(self, result: Json) -> None:
        """A training job's analysis is the dataset's from now on; an analysis job's is written with its end."""
        self._analysis = result
        if self._claim.kind == Kind.train:
            self.analysis_id = self._journal.write(self._new_analysis)

    def freeze_plan(self, made: PlanMade) -> None:
        self.plan_hash = made.plan_hash
        self._journal.write(
            lambda session: jobs.freeze_plan(session, self._claim, made.plan, made.plan_hash, self.analysis_id)
        )

    def succeed(self) -> None:
        def act(session: Session) -> None:
            model_id = self._write_rows(session)
            jobs.succeed(session, self._claim, model_id=model_id, **self.values)

        self._journal.write(act)

    def fail(self, problem: Json) -> None:
        shown = self._redactor.tree(problem)
        self._journal.write(lambda session: jobs.fail(session, self._claim, shown))

    def lose(self, error: ChaosError, *, pause_s: float = 0.0, **facts: Any) -> None:
        """The attempt died; where it was the last one, so has the job."""

        def act(session: Session) -> None:
            jobs.record_event(session, self._claim, "runner_died", facts)
            jobs.lose(session, self._claim, self._redactor.tree(error.problem()), pause_s=pause_s)

        self._journal.write(act)

    def _new_analysis(self, session: Session) -> str:
        claim = self._claim
        hold(session, claim)
        return analyses.create(
            session,
            project_id=claim.project_id,
            dataset_id=claim.dataset_id,
            job_id=claim.job_id,
            result=self._analysis,
        ).id

    def _write_rows(self, session: Session) -> str | None:
        """Everything that the run made, and the id of its trained model."""
        hold(session, self._claim)
        if self._claim.kind == Kind.analyse and self._claim.analysis_id and self._analysis is not None:
            analyses.save_result(session, self._claim.analysis_id, self._analysis)
        model_id: str | None = None
        for made, blob in self._kept:
            if made.kind == "dataset":
                datasets.ready(session, self._claim.dataset_id, series_sha256=blob.sha256, **made.facts)
                continue
            artifact = self._write_artifact(session, made, blob)
            if made.kind == "model":
                model_id = self._write_model(session, made.facts, artifact)
            if made.kind == "trajectory" and model_id is not None:
                trajectories.create(session, artifact=artifact, model_id=model_id, **made.facts)
        return model_id

    def _write_artifact(self, session: Session, made: ArtifactMade, blob: BlobRef) -> Artifact:
        return artifacts.create(
            session,
            project_id=self._claim.project_id,
            job_id=self._claim.job_id,
            kind=made.kind,
            name=made.name,
            media_type=made.media_type,
            blob=blob,
        )

    def _write_model(self, session: Session, facts: Json, artifact: Artifact) -> str:
        return trained.create(
            session,
            artifact=artifact,
            dataset_id=self._claim.dataset_id,
            name=facts["name"],
            config=facts["config"],
            parameter_count=facts["parameter_count"],
            plan_hash=self.plan_hash,
        ).id
