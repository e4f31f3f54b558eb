"""A worker process by itself, whose trainings are killed, paused, limited and refused: it goes on, and so do they."""

from collections.abc import Iterator

import pytest

from chaos_store import checkpoints, commands
from chaos_store.engine import open_database
from chaos_store.settings import Settings
from tests.e2e.bench import ENDLESS, TRAINING, Bench


@pytest.fixture
def bench(sqlite_settings: Settings) -> Iterator[Bench]:
    database = open_database(sqlite_settings)
    made = Bench(database, sqlite_settings)
    made.start_worker()
    yield made
    made.close()
    database.dispose()


def test_a_training_that_is_killed_paused_and_moved_ends_as_if_nothing_had_happened(bench: Bench) -> None:
    unbroken = bench.finish(bench.post(TRAINING))
    job_id = bench.post(TRAINING)
    bench.saved(job_id, 1)
    bench.runners()[0].kill()
    bench.saved(job_id, 3)
    with bench.database.write.begin() as session:
        commands.request_pause(session, bench.project_id, job_id)
    bench.until(lambda: bench.job(job_id).status == "paused")
    with bench.database.write.begin() as session:
        commands.request_resume(session, bench.project_id, job_id)
    bench.saved(job_id, 6)
    bench.workers[-1].kill()
    bench.workers[-1].wait()
    bench.start_worker()
    job = bench.finish(job_id)
    assert (job.status, unbroken.status) == ("succeeded", "succeeded"), job.error or unbroken.error
    assert job.attempt == 3, "the pause used no attempt, each kill one; no lease of 90 s was waited for"
    assert bench.result(job) == bench.result(unbroken)


def test_a_training_at_its_limit_leaves_a_checkpoint_and_the_worker_goes_on(bench: Bench) -> None:
    job_id = bench.post(ENDLESS)
    bench.saved(job_id, 1)
    with bench.database.write.begin() as session:
        commands.request_pause(session, bench.project_id, job_id)
    bench.until(lambda: bench.job(job_id).status == "paused")
    with bench.database.write.begin() as session:
        commands.request_resume(session, bench.project_id, job_id).limits = {"wall_s": 0.1}
    slow = bench.finish(job_id)
    assert slow.status == "failed" and slow.error is not None
    assert (slow.error["code"], slow.error["limit"]) == ("time_limit", 0.1), "the time before the pause counts"
    assert slow.checkpoint_update is not None
    greedy = bench.finish(bench.post(TRAINING, memory_bytes=10_000_000))
    assert greedy.error is not None and greedy.error["code"] == "out_of_memory"
    elsewhere = {**TRAINING, "training": {**TRAINING["training"], "device": "cuda"}}
    refused = bench.finish(bench.post(elsewhere))
    assert refused.error is not None and refused.error["code"] == "device_unavailable", "this machine has no CUDA"
    assert bench.finish(bench.post(TRAINING)).status == "succeeded"
    with bench.database.read() as session:
        kept = session.scalars(checkpoints.usable(slow.id)).all()
    assert 1 <= len(kept) <= bench.settings.keep_checkpoints + 1
