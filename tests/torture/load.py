"""The work that a torture run submits: mostly analyses, some trainings of a few seconds, some uploads."""

import random
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.e2e.conftest import lorenz, npy
from tests.torture.client import FINISHED, PAGE, CarefulClient, Json

TRAINING = {
    "cell": {"kind": "clipped_shplrnn", "latent": 3, "hidden": 30},
    "training": {"updates": 6000, "sequence_length": 30, "batch_size": 16, "validations": 4, "restarts": 0},
}
TRAIN_EVERY = 20
UPLOAD_EVERY = 25
SEEDS = 3
OUTSTANDING = (6, 40)
TRAIN_ROWS = 800
ANALYSE_ROWS = 220


class Wanted(NamedTuple):
    """Which training it is: the spec by its length, and the seed."""

    updates: int
    seed: int


@dataclass
class Reference:
    """What an unbroken run of the same training gave."""

    weights: str
    metrics: Json


@dataclass
class Accepted:
    """All that the service said yes to; each of these must end exactly once."""

    trainings: dict[str, Wanted] = field(default_factory=dict)
    analyses: dict[str, str] = field(default_factory=dict)
    ingests: set[str] = field(default_factory=set)
    datasets: set[str] = field(default_factory=set)

    def jobs(self) -> set[str]:
        return self.trainings.keys() | self.analyses.keys() | self.ingests


class Load:
    def __init__(self, client: CarefulClient, seed: int, seeds: int = SEEDS) -> None:
        self._client = client
        self._seeds = seeds
        self._random = random.Random(seed)
        self._analyses: set[str] = set()
        self.accepted = Accepted()
        self.references: dict[Wanted, Reference] = {}
        self._train_on = ""
        self._analyse_on: list[str] = []

    def prepare(self, trains: bool) -> None:
        """In peace: the recordings, and one unbroken training per seed to compare with."""
        self._train_on = self.upload("trained", TRAIN_ROWS)
        self._analyse_on = [self.upload(f"analysed-{number}", ANALYSE_ROWS + number) for number in range(4)]
        first = self._analyse(self._train_on)
        self._client.finish(first)
        for seed in range(self._seeds if trains else 0):
            self.make_reference(TRAINING, seed)

    def make_reference(self, spec: Json, seed: int) -> None:
        """An unbroken run; later ones of the same spec and seed are held against it."""
        job_id = self.train(spec, seed)
        job = self._client.finish(job_id)
        assert job["status"] == "succeeded", f"the unbroken run of seed {seed} failed: {job['error']}"
        self.references[self.accepted.trainings[job_id]] = outcome(self._client, job)

    def submit(self, jobs: int, seconds: float) -> None:
        """Until so many jobs are accepted or the time is over; never far ahead of the service."""
        until, number = time.monotonic() + seconds, 0
        ahead = min(max(jobs // 5, OUTSTANDING[0]), OUTSTANDING[1])
        while len(self.accepted.jobs()) < jobs and time.monotonic() < until:
            if self.outstanding() >= ahead:
                time.sleep(0.2)
            else:
                number += 1
                self._one(number)

    def _one(self, number: int) -> None:
        if number % TRAIN_EVERY == 3:
            self.train(TRAINING, self._random.randrange(self._seeds))
        elif number % UPLOAD_EVERY == 5:
            self.upload(f"late-{number}", self._random.choice((ANALYSE_ROWS, 400)))
        else:
            self.analyse_any()

    def outstanding(self) -> int:
        newest = {job["id"]: job["status"] for job in self._client.get("/v1/jobs", limit=PAGE)["data"]}
        return sum(status not in FINISHED for status in newest.values())

    def unfinished(self) -> list[str]:
        found = {job["id"]: job["status"] for job in self._client.pages("/v1/jobs")}
        return [job_id for job_id in self.accepted.jobs() if found.get(job_id, "missing") not in FINISHED]

    def drain(self, seconds: float) -> list[str]:
        """The jobs that did not end in time."""
        deadline = time.monotonic() + seconds
        while (left := self.unfinished()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return left

    def train(self, spec: Json, seed: int) -> str:
        number = len(self.accepted.trainings) + 1
        job_id = str(self._client.train(self._train_on, spec, seed=seed, number=number)["id"])
        self.accepted.trainings[job_id] = Wanted(spec["training"]["updates"], seed)
        return job_id

    def train_any(self, number: int) -> str:
        return self.train(TRAINING, number % self._seeds)

    def analyse_any(self) -> str:
        return self._analyse(self._random.choice(self._analyse_on))

    def _analyse(self, dataset_id: str) -> str:
        made = self._client.analyse(dataset_id, self._analyses)
        self.accepted.analyses[made["job_id"]] = made["id"]
        return str(made["job_id"])

    def upload(self, name: str, rows: int) -> str:
        dataset = self._client.upload(name, npy(lorenz(rows)))
        return self._take(dataset, wait=name.startswith(("trained", "analysed")))

    def adopt(self, name: str) -> str:
        """A dataset that was uploaded past this class."""
        newest = self._client.get("/v1/datasets", limit=20)["data"]
        return self._take(next(row for row in newest if row["name"] == name))

    def _take(self, dataset: Json, *, wait: bool = False) -> str:
        self.accepted.datasets.add(dataset["id"])
        reading = self._client.get("/v1/jobs", kind="ingest", dataset_id=dataset["id"])["data"]
        self.accepted.ingests.update(job["id"] for job in reading)
        for job in reading if wait else ():
            self._client.finish(job["id"])
        return str(dataset["id"])


def outcome(client: CarefulClient, job: Json) -> Reference:
    """The weights' own hash and all metrics but the wall clock."""
    weights = client.get(f"/v1/models/{job['model_id']}")["sha256"] if job["model_id"] else ""
    metrics = client.get(f"/v1/jobs/{job['id']}/metrics")["metrics"]
    return Reference(weights, {name: (series["step"], series["value"]) for name, series in metrics.items()})
