"""One attempt at one job: the only writer of its rows while its runner works."""

import logging
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy.orm import Session

from chaos_core.errors import ChaosError, RunnerCrashed
from chaos_store import jobs
from chaos_store.blobs import BlobStore
from chaos_store.errors import LeaseLost
from chaos_store.jobs import MetricRow, Progress
from chaos_store.settings import Settings
from chaos_store.states import FINISHED, State
from chaos_store.tables import Job

from .delivery import Delivery
from .jobfolder import JobFolder
from .journal import Journal
from .protocol import (
    EXIT_DONE,
    AnalysisMade,
    ArtifactMade,
    CheckpointSaved,
    Failed,
    Json,
    Message,
    PlanMade,
    Result,
    Stage,
    TrainingStarted,
    describe_exit,
    error_of_exit,
)
from .protocol import Progress as ProgressMade
from .spare import Runner

LOOK_S = 0.4
FLUSH_S = 0.5
SHUTDOWN_GRACE_S = 20.0

log = logging.getLogger(__name__)


@dataclass
class Notes:
    """What is seen of the run and not yet written."""

    values: Progress = field(default_factory=Progress)
    metrics: list[MetricRow] = field(default_factory=list)
    first_step: bool = False

    def __bool__(self) -> bool:
        return bool(self.values or self.metrics)


class Supervisor:
    def __init__(
        self, journal: Journal, blobs: BlobStore, settings: Settings, stopping: threading.Event, folder: Path
    ) -> None:
        self._journal = journal
        self._claim = journal.claim
        self._settings = settings
        self._stopping = stopping
        self._folder = folder
        self._job_folder = JobFolder(journal, blobs, settings, folder)
        self._delivery = Delivery(journal, blobs, folder, settings.keep_checkpoints)
        self._notes = Notes()
        self._stepped = False
        self._done = False
        self._problem: Json | None = None
        self._cancelling = False
        self._kill_at: float | None = None
        self._beat_at = self._look_at = self._flush_at = time.monotonic()

    def run(self, runner: Runner) -> None:
        try:
            self._delivery.analysis_id = self._job_folder.write()
            runner.give(self._folder)
            self._watch(runner)
            self._conclude(runner)
        except LeaseLost as error:
            log.warning("%s: %s", self._claim.job_id, error.detail)
        except (OSError, ValidationError) as error:
            log.warning("%s: %s\n%s", self._claim.job_id, error, runner.last_words())
            runner.kill()
            self._lose(runner.finish())
        except ChaosError as error:
            self._delivery.fail(error.problem())
        finally:
            runner.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _watch(self, runner: Runner) -> None:
        while not runner.silent:
            timeout_s = min(self._beat_at, self._look_at, self._flush_at) - time.monotonic()
            for message in runner.read(max(0.0, min(timeout_s, LOOK_S))):
                self._hear(message)
            self._tick(runner)
        self._flush()

    def _tick(self, runner: Runner) -> None:
        now = time.monotonic()
        if now >= self._flush_at:
            self._flush()
        if now >= self._beat_at:
            self._beat_at = now + self._settings.heartbeat_s
            self._notice(self._journal.heartbeat())
        elif now >= self._look_at:
            self._notice(self._status())
        if now >= self._look_at:
            self._look_at = now + LOOK_S
        self._stop_where_asked(runner, now)

    def _status(self) -> str:
        claim = self._claim
        query = jobs.get(claim.project_id, claim.job_id).with_only_columns(Job.status).where(Job.fence == claim.fence)
        status = self._journal.read(lambda session: session.scalar(query))
        if status is None or status in FINISHED:
            raise LeaseLost("The job is another worker's now.", job_id=claim.job_id, fence=claim.fence)
        return status

    def _notice(self, status: str) -> None:
        self._cancelling = self._cancelling or status == State.cancelling

    def _stop_where_asked(self, runner: Runner, now: float) -> None:
        if self._kill_at is None and (self._cancelling or self._stopping.is_set()):
            grace_s = self._settings.cancel_grace_s if self._cancelling else SHUTDOWN_GRACE_S
            self._kill_at = now + grace_s
            runner.terminate()
        if self._kill_at is not None and self._cancelling:
            self._kill_at = min(self._kill_at, now + self._settings.cancel_grace_s)
        if self._kill_at is not None and now >= self._kill_at:
            runner.kill()

    def _hear(self, message: Message) -> None:
        match message:
            case Stage(stage=stage):
                self._flush()
                self._notes.values["stage"] = stage
                self._flush()
            case AnalysisMade(analysis=analysis):
                self._delivery.save_analysis(analysis)
            case PlanMade():
                self._delivery.freeze_plan(message)
                self._notes.values["progress_total"] = message.total
            case TrainingStarted():
                self._start_training(message)
            case ProgressMade():
                self._note_progress(message)
            case CheckpointSaved():
                self._flush()
                self._delivery.save_checkpoint(message)
            case ArtifactMade():
                self._delivery.keep(message)
            case Result(values=values):
                self._delivery.values = values
                self._done = True
            case Failed(problem=problem):
                self._problem = problem

    def _start_training(self, message: TrainingStarted) -> None:
        values = self._notes.values
        values["kernel"], values["device"] = message.kernel, message.device
        values["progress_update"], values["progress_total"] = message.update, message.total
        self._flush()

    def _note_progress(self, message: ProgressMade) -> None:
        wall = time.time()
        self._notes.metrics += [MetricRow(m.name, m.step, m.value, wall) for m in message.metrics]
        self._notes.values["progress_update"] = message.update
        self._notes.values["progress_total"] = message.total
        if not self._stepped:
            self._stepped = self._notes.first_step = True
            self._flush()

    def _flush(self) -> None:
        self._flush_at = time.monotonic() + FLUSH_S
        notes, self._notes = self._notes, Notes()
        if not notes:
            return

        def act(session: Session) -> None:
            jobs.add_metrics(session, self._claim, notes.metrics)
            jobs.progress(session, self._claim, first_step=notes.first_step, **notes.values)

        self._journal.write(act)

    def _conclude(self, runner: Runner) -> None:
        code = runner.finish()
        log.info("%s: attempt %d ended with %s", self._claim.job_id, self._claim.attempt, describe_exit(code))
        self._notice(self._status())
        if code == EXIT_DONE and self._done:
            self._delivery.succeed()
        elif self._problem is not None:
            self._delivery.fail(self._problem)
        elif self._cancelling:
            self._journal.write(lambda session: jobs.confirm_cancel(session, self._claim))
        elif self._stopping.is_set() and self._kill_at is not None:
            self._journal.write(lambda session: jobs.release(session, self._claim))
        elif (error := error_of_exit(code, attempt=self._claim.attempt)) is not None:
            self._delivery.fail(error.problem())
        else:
            log.warning("%s: runner ended with %d\n%s", self._claim.job_id, code, runner.last_words())
            self._lose(code)

    def _lose(self, code: int) -> None:
        attempt = self._claim.attempt
        error = RunnerCrashed(
            f"The training process ended with {describe_exit(code)}.", exit_code=code, attempt=attempt
        )

        def act(session: Session) -> None:
            jobs.record_event(session, self._claim, "runner_died", {"exit_code": code, "attempt": attempt})
            jobs.lose(session, self._claim, error.problem())

        self._journal.write(act)
