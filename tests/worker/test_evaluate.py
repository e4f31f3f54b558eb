"""Two trajectories scored by the light runner, in its real process."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from chaos_core.scoring import score_series
from chaos_core.scoring_options import Scoring
from chaos_core.selection import settled
from chaos_core.series import Series
from chaos_core.systems import lorenz63
from chaos_store import artifacts, datasets, evaluations, jobs, trained, trajectories
from chaos_store.blobs import DatabaseBlobs
from chaos_store.engine import Database
from chaos_store.evaluations import Generated
from chaos_store.settings import Settings
from chaos_store.tables import Job
from tests.worker.test_light import Bench

QUICK = {"metrics": ["d_stsp", "d_h", "power_spectrum_correlation", "mase"]}
WHOLE = {"piece": "whole", "split": {"train": 0.7, "validation": 0.1, "test": 0.2}}


@pytest.fixture
def bench(database: Database, settings: Settings, project_id: str, tmp_path: Path) -> Iterator[Bench]:
    folder = tmp_path / "scratch"
    folder.mkdir()
    made = Bench(database, settings, project_id, folder)
    yield made
    made.spares.close()
    assert not [pid for pid in made.pids if psutil.pid_exists(pid)]


def stored(bench: Bench, series: Series) -> str:
    with bench.database.write.begin() as session:
        content = DatabaseBlobs().put(session, [series.to_npz()])
        facts: Any = {"format": "npy", "series_sha256": content.sha256, "rows": series.length, "dt": series.dt}
        facts |= {"channels": series.channels, "names": list(series.names), "missing_count": 0, "stretches": 1}
        words = {"project_id": bench.project_id, "name": "x", "content": content}
        return datasets.create(session, facts=facts, **words).id


def run_of(bench: Bench, dataset_id: str, x: np.ndarray) -> str:
    buffer = io.BytesIO()
    np.savez(buffer, x=x)
    with bench.database.write.begin() as session:
        words: Any = {"project_id": bench.project_id, "dataset_id": dataset_id, "max_attempts": 1}
        maker = jobs.create(session, kind="train", **words).id
        own: Any = {"project_id": bench.project_id, "job_id": maker, "media_type": "x/y"}
        blob = DatabaseBlobs().put(session, [buffer.getvalue()])
        file = artifacts.create(session, kind="trajectory", name="t", blob=blob, **own)
        model = trained.create(
            session, artifact=file, dataset_id=dataset_id, name="m", config={}, parameter_count=1, plan_hash=None
        )
        counts = {"steps": x.shape[-2], "channels": x.shape[-1], "runs": len(x) if x.ndim == 3 else 1}
        return trajectories.create(session, artifact=file, model_id=model.id, **counts).id


def done(bench: Bench, dataset_id: str, scored: Generated, **options: Any) -> Job:
    kind = "dataset" if scored.dataset_id else "trajectory"
    found = {"true": WHOLE, "generated": {"kind": kind, "run": 0, **WHOLE}, "scoring": QUICK} | options
    with bench.database.write.begin() as session:
        words: Any = {"project_id": bench.project_id, "dataset_id": dataset_id, "max_attempts": 2}
        job_id = evaluations.create(session, generated=scored, options=found, **words)[1].id
    return bench.run(job_id)


def values(job: Job) -> dict[str, Any]:
    assert job.status == "succeeded" and job.scores is not None, job.error
    return {name: score["value"] for name, score in job.scores.items()}


def told(scores: dict[str, Any]) -> dict[str, Any]:
    return {name: score.value for name, score in scores.items()}


def test_series_and_runs_are_scored_as_the_core_does_without_torch(bench: Bench) -> None:
    true, other = lorenz63(1500, dt=0.05), lorenz63(1000, dt=0.05, seed=4)
    first, second = stored(bench, true), stored(bench, other)
    how = Scoring.model_validate(QUICK)
    job = done(bench, first, Generated(dataset_id=second))
    assert values(job) == told(score_series(true.x, other.x, how))
    assert "forecast_path" in (job.scores or {})["mase"]["reason"]
    assert values(done(bench, first, Generated(dataset_id=first)))["d_stsp"] == pytest.approx(0.0, abs=1e-9)
    side = WHOLE | {"piece": "test"}
    job = done(bench, first, Generated(trajectory_id=run_of(bench, first, other.x)), true=side)
    assert values(job) == told(score_series(true.split()[2].x, other.x, how))
    assert len(set(bench.pids)) == 1
    maps = psutil.Process(bench.pids[0]).memory_maps()
    assert not [file.path for file in maps if "libtorch" in file.path]


def test_one_run_of_several_or_the_mean_of_all(bench: Bench) -> None:
    true = lorenz63(1000, dt=0.05)
    runs = np.stack([lorenz63(800, dt=0.05, seed=seed).x for seed in (1, 2)])
    dataset_id = stored(bench, true)
    run = Generated(trajectory_id=run_of(bench, dataset_id, runs))
    scoring = {**QUICK, "discard_share": 0.2}
    each = [score_series(true.x, settled(x, 0.2), Scoring.model_validate(QUICK)) for x in runs]
    second = done(bench, dataset_id, run, generated={"kind": "trajectory", "run": 1}, scoring=scoring)
    assert values(second) == told(each[1])
    mean = done(bench, dataset_id, run, generated={"kind": "trajectory", "run": "all"}, scoring=scoring)
    wanted = [score["d_stsp"].value or 0.0 for score in each]
    assert values(mean)["d_stsp"] == pytest.approx(sum(wanted) / 2)
    assert (mean.scores or {})["d_stsp"]["detail"]["by_run"] == {"0": wanted[0], "1": wanted[1]}


def test_a_series_with_gaps_is_scored_by_its_longest_piece(bench: Bench) -> None:
    whole = lorenz63(1200, dt=0.05)
    x = whole.x.copy()
    x[300:400] = np.nan
    gappy = Series(x, whole.dt, names=whole.names, missing="mask")
    job = done(bench, stored(bench, gappy), Generated(dataset_id=stored(bench, whole)))
    assert values(job)["d_stsp"] == told(score_series(whole.x[400:], whole.x, Scoring.model_validate(QUICK)))["d_stsp"]


def test_what_the_two_do_not_bear_ends_the_job_with_its_code(bench: Bench) -> None:
    dataset_id = stored(bench, lorenz63(500, dt=0.05))
    for generated, options, code in (
        (stored(bench, lorenz63(500, dt=0.02)), {}, "inconsistent_spec"),
        (stored(bench, lorenz63(400, dt=0.05)), {"scoring": {"generated_as": "forecast_path"}}, "inconsistent_spec"),
    ):
        job = done(bench, dataset_id, Generated(dataset_id=generated), **options)
        assert job.status == "failed" and job.error is not None and job.error["code"] == code, job.error
