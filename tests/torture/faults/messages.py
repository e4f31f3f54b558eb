"""What becomes of jobs when their wake-up calls are lost or come too often."""

import contextlib
import time
from collections.abc import Iterator

from chaos_store.broker import make_celery, wake
from tests.torture.processes import frozen
from tests.torture.scene import Scene

IDLE_LIMIT_S = 1.0


def flush(stage: Scene) -> None:
    """The broker emptied under a queue of jobs, then each message sent three times: every job runs once."""
    count = min(stage.order.jobs, 100)
    with _workers_frozen(stage):
        lost = [stage.load.analyse_any() for _ in range(count)]
        stage.deployment.broker().flushall()
    began = time.monotonic()
    stage.load.drain(240)
    stage.ledger.fact("jobs after FLUSHALL", f"{count}, all ended after {time.monotonic() - began:.1f} s")
    celery = make_celery(stage.deployment.settings, role="sender")
    with _workers_frozen(stage):
        tripled = [stage.load.analyse_any() for _ in range(count)]
        sent = [wake(celery, job_id, "analyse") for job_id in tripled for _ in range(2)]
    celery.close()
    began = time.monotonic()
    stage.load.drain(240)
    stage.ledger.fact("jobs announced three times", f"{count}, all ended after {time.monotonic() - began:.1f} s")
    stage.ledger.must_be_empty("messages not sent", [] if all(sent) else [f"{sent.count(False)}"])
    twice = [job_id for job_id in lost + tripled if stage.count(job_id, "claim") != 1]
    stage.ledger.must_be_empty("jobs not claimed exactly once", twice)
    stage.close_books()


def pair(stage: Scene) -> None:
    """Idle workers take the next job within a second, whichever API process it came through."""
    waits: dict[str, list[float]] = {"train": [], "analyse": []}
    for number in range(stage.times(10)):
        for kind in waits:
            time.sleep(3.0 if kind == "train" else 0.2)
            job_id = stage.load.train_any(number) if kind == "train" else stage.load.analyse_any()
            job = stage.client.finish(job_id)
            waits[kind].append(stage.seconds_between(job, "created_at", "started_at"))
    for kind, found in waits.items():
        told = f"median {sorted(found)[len(found) // 2]:.2f} s, most {max(found):.2f} s of {len(found)}"
        stage.ledger.fact(f"idle to {kind} running", told)
    slow = [f"{kind}: {wait:.2f} s" for kind, found in waits.items() for wait in found if wait > IDLE_LIMIT_S]
    stage.ledger.must_be_empty("jobs that waited longer than a second", slow)
    stage.close_books()


@contextlib.contextmanager
def _workers_frozen(stage: Scene) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for worker in stage.deployment.processes("worker"):
            stack.enter_context(frozen(worker))
        yield
