"""One attempt at one job: the only writer of its rows while its runner works."""

import logging
import shutil
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from chaos_core.errors import ChaosError, CheckpointUnreadable, RunError, RunnerCrashed
from chaos_store import capacity, checkpoints, jobs
from chaos_store.blobs import BlobStore
from chaos_store.errors import LeaseLost, StorageFull
from chaos_store.jobs import MetricRow, Progress
from chaos_store.settings import Settings
from chaos_store.states import LIVE, State
from chaos_store.tables import Job, JobEvent

from .delivery import Delivery
from .jobfolder import JobFolder
from .journal import Journal
from .limits import LOOK_S as GUARD_S
from .limits import Guard, Limits, time_spent
from .logbook import LogBook
from .protocol import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_NO_ROOM,
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
SAVING_GRACE_S = 20.0
FULL_PAUSE_S = 30.0
ENDS_ON_REQUEST = (EXIT_INTERRUPTED, -signal.SIGTERM, -signal.SIGKILL)

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
        self._delivery = Delivery(journal, blobs, folder, settings)
        self._book = LogBook(journal, settings)
        self._notes = Notes()
        self._stepped = False
        self._done = False
        self._update = -1
        self._problem: Json | None = None
        self._limit: RunError | None = None
        self._status: str = State.running
        self._kill_at: float | None = None
        now = time.monotonic()
        self._beat_at, self._look_at, self._flush_at = now + settings.heartbeat_s, now + LOOK_S, now

    def run(self, runner: Runner) -> None:
        """Leaves the runner alive only where it waits for another job."""
        try:
            self._attempt(runner)
        except LeaseLost as error:
            log.warning("%s", error.detail)
        finally:
            if not runner.idle or self._kill_at is not None:
                runner.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _attempt(self, runner: Runner) -> None:
        try:
            self._book.say(f"attempt {self._claim.attempt} of a {self._claim.kind} job")
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._delivery.analysis_id = self._job_folder.write()
            asked = self._claim.limits | {"deadline": self._claim.deadline}
            self._guard = Guard(Limits.of(self._settings, asked), runner.pid, self._folder, self._spent_before())
            runner.give(self._folder)
            self._watch(runner)
            self._conclude(runner)
        except LeaseLost:
            raise
        except (OSError, ValidationError) as error:
            self._book.say(f"the attempt ends: {error}", "warning")
            runner.kill()
            code = runner.finish()
            self._listen(runner, last=True)
            self._lose(code, error)
        except ChaosError as error:
            self._listen(runner, last=True)
            runner.close()
            self._fail(error.problem())

    def _spent_before(self) -> float:
        claim, event = self._claim, JobEvent.data["event"].as_string()
        if claim.fence == 1:
            return 0.0
        changes = select(event, JobEvent.created_at).where(JobEvent.job_id == claim.job_id, JobEvent.type == "status")
        rows = self._journal.read(lambda session: session.execute(changes.order_by(JobEvent.seq)).all())
        return time_spent((name, at) for name, at in rows)

    def _watch(self, runner: Runner) -> None:
        while not (runner.silent or runner.idle):
            timeout_s = min(self._beat_at, self._look_at, self._flush_at) - time.monotonic()
            for message in runner.read(max(0.0, min(timeout_s, GUARD_S))):
                self._listen(runner)
                self._hear(message)
            if not runner.idle:
                self._tick(runner)
        self._listen(runner, last=True)
        self._flush()

    def _tick(self, runner: Runner) -> None:
        now = time.monotonic()
        if now >= self._flush_at:
            self._listen(runner)
            self._flush()
        if now >= self._beat_at:
            self._beat_at = now + self._settings.heartbeat_s
            self._status = self._journal.heartbeat()
        elif now >= self._look_at:
            self._status = self._read_status()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
        crossed = self._guard.crossed()
        self._limit = self._limit or crossed
        self._stop_where_asked(runner, now)

    def _read_status(self) -> str:
        claim = self._claim
        query = jobs.get(claim.project_id, claim.job_id).with_only_columns(Job.status).where(Job.fence == claim.fence)
        status = self._journal.read(lambda session: session.scalar(query))
        if status not in LIVE:
            raise LeaseLost("The job is another worker's now.", job_id=claim.job_id, fence=claim.fence)
        return str(status)

    def _grace_s(self) -> float | None:
        """How long the runner may take to end, where it should."""
        if self._status == State.cancelling or self._limit is not None:
            return self._settings.cancel_grace_s
        return SAVING_GRACE_S if self._status == State.pausing or self._stopping.is_set() else None

    def _stop_where_asked(self, runner: Runner, now: float) -> None:
        grace_s = self._grace_s()
        if grace_s is None:
            return
        if self._kill_at is None:
            self._kill_at = now + grace_s
            self._book.say(f"the runner is asked to stop: {self._limit or self._status}")
            runner.terminate()
        self._kill_at = min(self._kill_at, now + grace_s)
        if now >= self._kill_at or self._guard.is_greedy():
            runner.kill()

    def _hear(self, message: Message) -> None:
        if not isinstance(message, ProgressMade) or message.update != self._update:
            self._guard.moved()
        match message:
            case Stage(stage=stage):
                self._book.say(f"stage: {stage}")
                self._flush()
                self._notes.values["stage"] = stage
                self._flush()
            case AnalysisMade(analysis=analysis):
                self._delivery.save_analysis(analysis)
            case PlanMade():
                self._book.say(f"plan {message.plan_hash}")
                self._delivery.freeze_plan(message)
                self._notes.values["progress_total"] = message.total
            case TrainingStarted():
                self._start_training(message)
            case ProgressMade():
                self._note_progress(message)
            case CheckpointSaved():
                self._book.say(f"checkpoint at update {message.update}{', the best so far' if message.best else ''}")
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
        self._book.say(f"{message.kernel} kernel on {message.device}, from update {message.update} to {message.total}")
        values = self._notes.values
        values["kernel"], values["device"] = message.kernel, message.device
        values["progress_update"], values["progress_total"] = message.update, message.total
        self._flush()

    def _note_progress(self, message: ProgressMade) -> None:
        wall = time.time()
        self._notes.metrics += [MetricRow(m.name, m.step, m.value, wall) for m in message.metrics]
        self._notes.values["progress_update"] = self._update = message.update
        self._notes.values["progress_total"] = message.total
        if not self._stepped:
            self._stepped = self._notes.first_step = True
            self._flush()

    def _listen(self, runner: Runner, *, last: bool = False) -> None:
        for line in runner.words(last=last):
            self._book.hear(line)

    def _flush(self) -> None:
        self._flush_at = time.monotonic() + FLUSH_S
        self._book.write()
        notes, self._notes = self._notes, Notes()
        if not notes:
            return

        def act(session: Session) -> None:
            jobs.add_metrics(session, self._claim, notes.metrics)
            jobs.progress(session, self._claim, first_step=notes.first_step, **notes.values)

        self._journal.write(act)

    def _conclude(self, runner: Runner) -> None:
        code = EXIT_DONE if runner.idle else runner.finish()
        self._listen(runner, last=True)
        self._book.say(f"the runner {'is done' if runner.idle else f'ended with {describe_exit(code)}'}")
        self._book.write()
        if code == EXIT_DONE and self._done:
            self._delivery.succeed()
            return
        self._status = self._read_status()
        if (error := self._typed_failure(code)) is not None:
            self._fail(error)
        elif self._status == State.cancelling:
            self._journal.write(lambda session: jobs.confirm_cancel(session, self._claim))
        elif self._is_unreadable():
            self._journal.write(self._skip_checkpoint)
        elif self._kill_at is not None and code in ENDS_ON_REQUEST and self._status == State.pausing:
            self._journal.write(lambda session: jobs.confirm_pause(session, self._claim))
        elif self._kill_at is not None and code in ENDS_ON_REQUEST and self._stopping.is_set():
            self._journal.write(lambda session: jobs.release(session, self._claim))
        else:
            self._lose(code)

    def _fail(self, problem: Json) -> None:
        self._book.say(f"the job fails: {problem['code']}: {problem['detail']}", "error")
        self._book.write()
        self._delivery.fail(problem)

    def _typed_failure(self, code: int) -> Json | None:
        """What neither a cancel nor another attempt would change."""
        if self._limit is not None:
            return self._limit.problem()
        if self._problem is not None:
            return None if self._is_unreadable() else self._problem
        if self._kill_at is None and (hungry := self._guard.out_of_memory(code)) is not None:
            return hungry.problem()
        error = error_of_exit(code, attempt=self._claim.attempt)
        return None if error is None else error.problem()

    def _is_unreadable(self) -> bool:
        """The bytes of the checkpoint were those stored, and yet no state of this training."""
        code = None if self._problem is None else self._problem["code"]
        return code == CheckpointUnreadable.code and self._job_folder.resumed_from is not None

    def _skip_checkpoint(self, session: Session) -> None:
        """The next attempt, which is none more, takes the one before."""
        assert self._problem is not None and self._job_folder.resumed_from is not None
        checkpoints.mark_damaged(session, self._claim, self._job_folder.resumed_from, self._problem)
        jobs.release(session, self._claim)

    def _lose(self, code: int, cause: Exception | None = None) -> None:
        attempt = self._claim.attempt
        error: ChaosError = RunnerCrashed(
            f"The process of the job ended with {describe_exit(code)}.", exit_code=code, attempt=attempt
        )
        full = code == EXIT_NO_ROOM or (cause is not None and capacity.is_full(cause))
        if full:
            error = StorageFull("There is no room for the files of the job.", exit_code=code, attempt=attempt)
        self._book.say(f"the attempt is lost: {error.code}: {error.detail}", "warning")
        self._book.write()
        self._delivery.lose(error, pause_s=FULL_PAUSE_S if full else 0.0, exit_code=code, attempt=attempt)
