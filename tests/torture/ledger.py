"""What must hold after a run, whatever died: each check names the rows that break it."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

import psutil
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database, open_database
from chaos_store.errors import StoreError
from chaos_store.gc import USERS
from chaos_store.settings import Settings
from chaos_store.states import LIVE
from chaos_store.tables import AnalysisRow, Artifact, Blob, BlobChunk, Dataset, Job, JobEvent, TrainedModel
from tests.torture.client import FINISHED, CarefulClient, Json
from tests.torture.load import Accepted, Load, outcome
from tests.torture.processes import RUNNERS, runs, words
from tests.torture.services import Deployment

QUIET_S = 30.0
SHOWN = 5


@dataclass
class Ledger:
    """Each line is a fact with the cases that break it; an empty list is what is wanted."""

    facts: list[tuple[str, str]] = field(default_factory=list)
    breaches: dict[str, list[str]] = field(default_factory=dict)

    def fact(self, name: str, value: object) -> None:
        self.facts.append((name, str(value)))

    def must_be_empty(self, name: str, cases: Iterable[str]) -> None:
        self.breaches[name] = list(cases)

    @property
    def clean(self) -> bool:
        return not any(self.breaches.values())

    def text(self) -> str:
        wide = max(len(name) for name in [*self.breaches, *(name for name, _ in self.facts)])
        lines = [f"{name:<{wide}}  {value}" for name, value in self.facts]
        for name, cases in self.breaches.items():
            shown = "".join(f"\n    {case}" for case in cases[:SHOWN])
            lines.append(f"{name:<{wide}}  {len(cases)}{shown}")
        return "\n".join([*lines, "clean" if self.clean else "NOT CLEAN"])


def count_jobs(
    ledger: Ledger, client: CarefulClient, accepted: Accepted, *, failures_wanted: bool = False
) -> dict[str, Json]:
    """Accepted, ended, lost, and those that nobody knows to have asked for."""
    held = {job["id"]: job for job in client.pages("/v1/jobs")}
    wanted = accepted.jobs()
    statuses = Counter(held[job_id]["status"] for job_id in wanted if job_id in held)
    ledger.fact("jobs accepted", f"{len(wanted)} ({len(accepted.trainings)} trainings, {len(accepted.ingests)} reads)")
    ledger.fact("how they ended", ", ".join(f"{count} {status}" for status, count in statuses.items()))
    ledger.fact("attempts", f"{sum(held[i]['attempt'] for i in wanted if i in held)} in all")
    ledger.must_be_empty("jobs lost", sorted(wanted - held.keys()))
    ledger.must_be_empty("jobs nobody asked for", sorted(held.keys() - wanted))
    ledger.must_be_empty(
        "jobs not ended", [_case(held[i]) for i in sorted(wanted & held.keys()) if held[i]["status"] not in FINISHED]
    )
    if failures_wanted:
        return held
    ledger.must_be_empty(
        "jobs failed", [_case(held[i]) for i in sorted(wanted & held.keys()) if held[i]["status"] in FINISHED[1:]]
    )
    return held


def compare_trainings(ledger: Ledger, client: CarefulClient, load: Load, held: dict[str, Json]) -> None:
    """Weights and every metric of every step, against an unbroken run of the same seed."""
    metrics, weights = [], []
    for job_id, kind in load.accepted.trainings.items():
        job = held.get(job_id)
        if job is None or job["status"] != "succeeded" or kind not in load.references:
            continue
        found, wanted = outcome(client, job), load.references[kind]
        if found.weights != wanted.weights:
            weights.append(f"{job_id}: {found.weights[:12]} instead of {wanted.weights[:12]}")
        if found.metrics != wanted.metrics:
            metrics.append(f"{job_id}: {_difference(found.metrics, wanted.metrics)}")
    ledger.must_be_empty("trainings with other weights than unbroken", weights)
    ledger.must_be_empty("trainings with gaps or repeats in metrics", metrics)


def examine_rows(ledger: Ledger, database: Database) -> None:
    """The rows themselves, past the API."""
    with database.read() as session:
        ledger.must_be_empty("jobs with more or less than one ending", _endings(session))
        ledger.must_be_empty("models doubled or missing", _models(session))
        ledger.must_be_empty("analyses without a result", _analyses(session))
        ledger.must_be_empty("datasets half read", _datasets(session))
        ledger.must_be_empty("leases still held", _leases(session))


def examine_blobs(ledger: Ledger, database: Database) -> None:
    """Every byte read again, and every chunk accounted for."""
    damaged, blobs = [], DatabaseBlobs()
    with database.read() as session:
        hashes = session.scalars(select(Blob.sha256)).all()
        for sha256 in hashes:
            try:
                blobs.verify(session, sha256)
            except StoreError as error:
                damaged.append(f"{sha256[:12]}: {error.detail}")
        loose = select(BlobChunk.content).where(BlobChunk.content.not_in(select(Blob.content))).distinct()
        ledger.fact(
            "blobs", f"{len(hashes)}; {len(session.scalars(loose).all())} broken uploads wait for the collector"
        )
        dangling = [
            str(column)
            for column in USERS
            if session.scalar(select(func.count()).where(column.is_not(None), column.not_in(select(Blob.sha256))))
        ]
    ledger.must_be_empty("blobs that do not verify", damaged)
    ledger.must_be_empty("references to missing blobs", dangling)


def examine_processes(ledger: Ledger, deployment: Deployment) -> None:
    """When all is quiet: nobody without a parent, no runner but the waiting ones, no scratch of a dead job."""
    deadline = time.monotonic() + QUIET_S
    while (found := _strays(deployment)) and time.monotonic() < deadline:
        time.sleep(0.5)
    ledger.must_be_empty("orphan processes", found)
    ledger.must_be_empty("scratch left behind", _leftovers(deployment))


def ask_doctor(ledger: Ledger, deployment: Deployment) -> None:
    told = deployment.run("chaos_store", "doctor", "--deep", "--json", check=False)
    try:
        findings = json.loads(told.stdout)["findings"]
    except (ValueError, KeyError):
        ledger.must_be_empty("doctor --deep", [f"exit {told.returncode}: {(told.stderr or told.stdout)[-300:]}"])
        return
    bad = [f"{finding['name']}: {finding['detail']}" for finding in findings if not finding["ok"]]
    ledger.must_be_empty("doctor --deep", bad or ([] if told.returncode == 0 else [f"exit {told.returncode}"]))


def look(deployment: Deployment, examine: Callable[[Ledger, Database], None], ledger: Ledger) -> None:
    database = open_database(deployment.settings)
    try:
        examine(ledger, database)
    finally:
        database.dispose()


def finished_jobs(settings: Settings) -> dict[str, tuple[str, str | None]]:
    """Status and trained model of each job that has ended."""
    return {row[0]: (row[1], row[2]) for row in _jobs(settings) if row[1] in FINISHED}


def running_jobs(settings: Settings) -> list[str]:
    return [f"{row[0]} {row[1]}" for row in _jobs(settings) if row[1] in LIVE]


def _jobs(settings: Settings) -> list[tuple[str, str, str | None]]:
    database = open_database(settings)
    try:
        with database.read() as session:
            return [(row[0], row[1], row[2]) for row in session.execute(select(Job.id, Job.status, Job.model_id))]
    finally:
        database.dispose()


def _case(job: Json) -> str:
    error = (job["error"] or {}).get("code", "")
    return f"{job['id']} {job['kind']} {job['status']} {error} attempt {job['attempt']} stage {job['stage']}"


def _difference(found: Json, wanted: Json) -> str:
    for name in wanted:
        if name not in found:
            return f"no {name}"
        (steps, values), (true_steps, true_values) = found[name], wanted[name]
        if steps != true_steps:
            missing, extra = sorted(set(true_steps) - set(steps)), sorted(set(steps) - set(true_steps))
            return f"{name}: {len(missing)} steps missing {missing[:4]}, {len(extra)} too many {extra[:4]}"
        if values != true_values:
            at = next(i for i, pair in enumerate(zip(values, true_values, strict=True)) if pair[0] != pair[1])
            return f"{name}: other value at step {steps[at]}"
    return f"unexpected {sorted(found.keys() - wanted.keys())}"


def _endings(session: Session) -> list[str]:
    """Exactly one event that ends the job, and nothing of the run after it."""
    found = []
    for job_id in session.scalars(select(Job.id).where(Job.status.in_(FINISHED))):
        events = session.scalars(select(JobEvent).where(JobEvent.job_id == job_id).order_by(JobEvent.seq)).all()
        ends = [event for event in events if event.type == "status" and event.data["status"] in FINISHED]
        if len(ends) != 1 or ends[0] is not events[-1]:
            found.append(f"{job_id}: {[event.data.get('event', event.type) for event in events][-4:]}")
    return found


def _models(session: Session) -> list[str]:
    trained = select(Job.id).where(Job.kind == "train", Job.status == "succeeded")
    models = Counter(session.scalars(select(TrainedModel.job_id)))
    files = Counter(session.scalars(select(Artifact.job_id).where(Artifact.kind == "model")))
    wanted = Counter(session.scalars(trained))
    return [f"{i}: {models[i]} models, {files[i]} files" for i in wanted if models[i] != 1 or files[i] != 1]


def _analyses(session: Session) -> list[str]:
    done = select(Job.id).where(Job.kind == "analyse", Job.status == "succeeded")
    with_result = set(session.scalars(select(AnalysisRow.job_id).where(AnalysisRow.result.is_not(None))))
    return [job_id for job_id in session.scalars(done) if job_id not in with_result]


def _datasets(session: Session) -> list[str]:
    rows = session.execute(select(Dataset.id, Dataset.status, Dataset.series_sha256))
    return [f"{row[0]} {row[1]}" for row in rows if row[1] != "ready" or row[2] is None]


def _leases(session: Session) -> list[str]:
    return list(session.scalars(select(Job.id).where(Job.status.in_(FINISHED), Job.lease_owner.is_not(None))))


def _strays(deployment: Deployment) -> list[str]:
    members, found = deployment.members(), []
    workers = sum(runs(process, "worker") for process in members)
    busy = [process for process in members if runs(process, *RUNNERS)]
    found += [_portrait(process) for process in members if not deployment.parent_is_ours(process)]
    if len(busy) > 2 * workers:
        found.append(f"{len(busy)} runners for {workers} workers")
    found += [_portrait(process) for process in members if any("readers" in word for word in words(process))]
    return found


def _portrait(process: psutil.Process) -> str:
    try:
        since = datetime.fromtimestamp(process.create_time()).strftime("%H:%M:%S")
        return f"{process.pid} since {since}, parent {process.ppid()}: {' '.join(process.cmdline()[-4:])}"
    except psutil.Error:
        return f"{process.pid} gone meanwhile"


def _leftovers(deployment: Deployment) -> list[str]:
    """Folders of jobs, and of processes that do not live any more."""
    living = {str(process.pid) for process in deployment.members()}
    scratch = deployment.settings.data_dir / "scratch"
    owners = list(scratch.iterdir()) if scratch.exists() else []
    dead = [str(owner) for owner in owners if owner.name.rpartition("-")[2] not in living]
    jobs = [str(entry) for owner in owners for entry in owner.glob("job_*")]
    temporary = [str(entry) for entry in (deployment.folder / "tmp").iterdir() if entry.name.startswith("chaos-upload")]
    return dead + jobs + temporary
