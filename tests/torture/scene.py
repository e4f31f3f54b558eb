"""A running service with a client and references: what each single fault plays on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from chaos_store.engine import open_database
from chaos_store.tables import Job
from tests.torture import ledger as books
from tests.torture.client import CarefulClient, Json
from tests.torture.ledger import Ledger
from tests.torture.load import SEEDS, TRAINING, Load
from tests.torture.processes import until
from tests.torture.services import DEPLOYMENTS, Deployment

LONG = {**TRAINING, "training": {**TRAINING["training"], "updates": 60_000}}
ENDLESS = {**TRAINING, "training": {**TRAINING["training"], "updates": 5_000_000}}


@dataclass(frozen=True)
class Order:
    """What the command line asked for."""

    jobs: int = 60
    seconds: float = 600.0
    seed: int = 0
    database: str = "sqlite"
    period_s: float = 2.0
    patience_s: float = 240.0
    times: int | None = None
    seeds: int = SEEDS
    keep: bool = False


@dataclass
class Scene:
    order: Order
    deployment: Deployment
    client: CarefulClient
    load: Load
    ledger: Ledger
    say: Callable[[str], None]

    def times(self, usual: int) -> int:
        return self.order.times or usual

    def train(self, spec: Json, seed: int = 0) -> str:
        return self.load.train(spec, seed)

    def is_training(self, job_id: str, update: int = 1) -> bool:
        job = self.client.job(job_id)
        return job["stage"] == "training" and (job["progress"]["update"] or 0) >= update

    def wait_training(self, job_id: str, update: int = 1, seconds: float = 60.0) -> None:
        until(lambda: self.is_training(job_id, update), seconds, f"{job_id} trains")

    def events(self, job_id: str) -> list[Json]:
        found: list[Json] = self.client.get(f"/v1/jobs/{job_id}/events", limit=1000)["data"]
        return found

    def count(self, job_id: str, event: str) -> int:
        return sum(found["data"].get("event", found["type"]) == event for found in self.events(job_id))

    def cancel(self, job_id: str) -> None:
        self.client.post(f"/v1/jobs/{job_id}/cancel", lambda: None)

    @staticmethod
    def seconds_between(job: Json, first: str, then: str) -> float:
        return datetime.fromisoformat(job[then]).timestamp() - datetime.fromisoformat(job[first]).timestamp()

    def owner_pid(self, job_id: str) -> int:
        """The worker that holds the job now."""
        database = open_database(self.deployment.settings)
        try:
            with database.read() as session:
                owner = session.scalar(select(Job.lease_owner).where(Job.id == job_id))
        finally:
            database.dispose()
        assert owner is not None, f"nobody holds {job_id}"
        return int(owner.rsplit("-", 2)[1])

    def close_books(self, *, failures_wanted: bool = False, rows: bool = True) -> None:
        """The same ledger as of the main run."""
        held = books.count_jobs(self.ledger, self.client, self.load.accepted, failures_wanted=failures_wanted)
        books.compare_trainings(self.ledger, self.client, self.load, held)
        if rows:
            books.look(self.deployment, books.examine_rows, self.ledger)
        books.look(self.deployment, books.examine_blobs, self.ledger)
        books.examine_processes(self.ledger, self.deployment)
        self.ledger.fact("traffic", self.client.traffic.describe())
        self.ledger.must_be_empty("unexpected answers", self.client.traffic.unexpected)


@contextmanager
def scene(
    order: Order,
    say: Callable[[str], None],
    ledger: Ledger,
    *,
    trains: bool = False,
    small_disk: bool = False,
    **changes: str,
) -> Iterator[Scene]:
    """Up and prepared inside the block; then stopped in order, which must go well too."""
    deployment = DEPLOYMENTS[order.database](changes, small_disk=small_disk)
    with deployment:
        say(f"{order.database}: {deployment.folder}, seed {order.seed}")
        with CarefulClient(deployment.urls, deployment.key) as client:
            load = Load(client, order.seed, order.seeds)
            load.prepare(trains=trains)
            yield Scene(order, deployment, client, load, ledger, say)
        say("stopping in order")
    ledger.must_be_empty("going down", deployment.complaints)
    if ledger.clean and not order.keep:
        deployment.remove()
