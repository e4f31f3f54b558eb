"""The main run: jobs over HTTP while processes die at random, then the ledger."""

import time
from collections.abc import Callable

from tests.torture import ledger as books
from tests.torture.ledger import Ledger
from tests.torture.mayhem import Mayhem
from tests.torture.scene import Order, Scene, scene

CALM_S = 120.0


def torture(order: Order, say: Callable[[str], None]) -> Ledger:
    ledger = Ledger()
    with scene(order, say, ledger, trains=True) as stage:
        say("references made; now processes die")
        _work(stage)
        stage.close_books()
        books.ask_doctor(ledger, stage.deployment)
    return ledger


def _work(stage: Scene) -> None:
    order, load = stage.order, stage.load
    began = time.monotonic()
    mayhem = Mayhem(stage.deployment, order.seed, order.period_s)
    mayhem.start()
    try:
        load.submit(order.jobs, order.seconds)
        submitted_s = time.monotonic() - began
        left = load.drain(order.patience_s)
    finally:
        mayhem.stop()
    stage.say(f"submitted within {submitted_s:.0f} s, {len(left)} unfinished after {time.monotonic() - began:.0f} s")
    load.drain(CALM_S)
    stage.ledger.fact(
        "seconds in all", f"{time.monotonic() - began:.0f}, {len(left)} jobs were left when the killing ended"
    )
    stage.ledger.fact("blows", f"{len(mayhem.blows)}: {mayhem.describe()}")
