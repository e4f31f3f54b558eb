"""The main run: jobs over HTTP while processes die at random, then the ledger."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.torture import ledger as books
from tests.torture.client import CarefulClient
from tests.torture.ledger import Ledger
from tests.torture.load import Load
from tests.torture.mayhem import Mayhem
from tests.torture.services import DEPLOYMENTS, Deployment

DRAIN_S = 240.0


@dataclass(frozen=True)
class Order:
    jobs: int = 60
    seconds: float = 600.0
    seed: int = 0
    database: str = "sqlite"
    period_s: float = 2.0
    keep: bool = False


def torture(order: Order, say: Callable[[str], None]) -> Ledger:
    deployment = DEPLOYMENTS[order.database]()
    ledger = Ledger()
    with deployment:
        say(f"{order.database}: {deployment.folder}, seed {order.seed}")
        with CarefulClient(deployment.urls, deployment.key) as client:
            _work(order, deployment, client, ledger, say)
        say("stopping in order")
    ledger.must_be_empty("going down", deployment.complaints)
    if ledger.clean and not order.keep:
        deployment.remove()
    return ledger


def _work(
    order: Order, deployment: Deployment, client: CarefulClient, ledger: Ledger, say: Callable[[str], None]
) -> None:
    load = Load(client, order.seed)
    load.prepare(trains=True)
    say("references made; now processes die")
    began = time.monotonic()
    mayhem = Mayhem(deployment, order.seed, order.period_s)
    mayhem.start()
    try:
        load.submit(order.jobs, order.seconds)
        submitted_s = time.monotonic() - began
        left = load.drain(DRAIN_S)
    finally:
        mayhem.stop()
    say(f"submitted within {submitted_s:.0f} s, {len(left)} unfinished after {time.monotonic() - began:.0f} s")
    load.drain(DRAIN_S / 4)
    ledger.fact("seconds of mayhem", f"{time.monotonic() - began:.0f}")
    ledger.fact("blows", f"{len(mayhem.blows)}: {mayhem.describe()}")
    held = books.count_jobs(ledger, client, load.accepted)
    books.compare_trainings(ledger, client, load, held)
    books.look(deployment, books.examine_rows, ledger)
    books.look(deployment, books.examine_blobs, ledger)
    books.examine_processes(ledger, deployment)
    books.ask_doctor(ledger, deployment)
    ledger.fact("traffic", client.traffic.describe())
    ledger.must_be_empty("unexpected answers", client.traffic.unexpected)
