"""The job kind `train`: analysis, plan, training, scores, free run, figures."""

import io
import time
from pathlib import Path

import numpy as np

from chaos_core.analysis import Analysis
from chaos_core.figures import attractor_figure, divergence_figure
from chaos_core.fitted import Fitted
from chaos_core.gaps import bridged
from chaos_core.generation import free_latent, read_out
from chaos_core.pipeline import evaluate
from chaos_core.planning import plan as make_plan
from chaos_core.selection import settled
from chaos_core.series import Series
from chaos_core.spec import Plan, Spec
from chaos_core.start import Start, read_start
from chaos_core.training import Trainer, Validated
from chaos_core.typing import Floats
from chaos_core.windows import longest_run

from ..protocol import CHECKPOINT_FILE, START_FILE, ArtifactMade, JobFile, PlanMade, Result, Stage, TrainingStarted
from .analyse import make_analysis, read_series
from .channel import Channel
from .drawing import send_figure
from .floors import score_floors
from .modelfile import model_name, write_model
from .reporting import Reporter

TRAJECTORY_FILE = "trajectory.npz"
MOST_STORED_STEPS = 100_000


def train_job(folder: Path, job: JobFile, channel: Channel) -> None:
    series = read_series(folder)
    analysis = None if job.analysis is None else Analysis.model_validate(job.analysis)
    if analysis is None and job.plan is None:
        analysis = make_analysis(series, channel)
    start = None if job.start is None else read_start((folder / START_FILE).read_bytes(), job.start["scaling"])
    plan = _settle(job, analysis, start, channel)
    fitted = _fit(folder, job, series, plan, start, channel)
    channel.send(Stage(stage="evaluating"))
    test = series.split(**plan.split.model_dump())[2]
    scores = evaluate(fitted, test, evaluation=plan.evaluation)
    floors = score_floors(series, plan)
    channel.send(Stage(stage="storing"))
    channel.send(write_model(folder, fitted))
    inputs = _inputs_after_start(fitted, test)
    steps = round(plan.evaluation.run_factor * test.length) if inputs is None else len(inputs)
    run = _send_trajectory(folder, fitted, min(steps, MOST_STORED_STEPS), inputs, channel)
    generated = settled(run, plan.evaluation.discard_share)
    channel.send(Stage(stage="drawing"))
    figure = attractor_figure(
        longest_run(test).x, generated, series.names, series.dt, f"{model_name(fitted)}, seed {job.seed}"
    )
    send_figure(folder, channel, "attractor", figure)
    if analysis is not None:
        send_figure(folder, channel, "divergence", divergence_figure(analysis))
    channel.send(Result(values={"scores": scores.model_dump(mode="json"), "baselines": floors}))


def _settle(job: JobFile, analysis: Analysis | None, start: Start | None, channel: Channel) -> Plan:
    """The plan of an earlier attempt, or a new one; either way the supervisor hears of it."""
    channel.send(Stage(stage="planning"))
    if job.plan is not None:
        plan = Plan.model_validate(job.plan)
    else:
        assert analysis is not None
        plan = make_plan(Spec.model_validate(job.spec or {}), analysis, None if start is None else start.parent)
    facts = plan.model_dump(mode="json")
    channel.send(PlanMade(plan=facts, plan_hash=plan.digest(), total=plan.training.updates))
    return plan


def _fit(folder: Path, job: JobFile, series: Series, plan: Plan, start: Start | None, channel: Channel) -> Fitted:
    channel.send(Stage(stage="training"))
    state = (folder / CHECKPOINT_FILE).read_bytes() if job.has_checkpoint else None
    trainer = Trainer(series, plan, job.seed, state, start)
    started = {"kernel": trainer.kernel, "device": trainer.device, "update": trainer.update, "total": trainer.total}
    channel.send(TrainingStarted.model_validate(started))
    _train(job, trainer, Reporter(channel, trainer, folder), channel)
    return trainer.fitted()


def _train(job: JobFile, trainer: Trainer, reporter: Reporter, channel: Channel) -> None:
    """Saves at each new best, after each period, when asked to stop, and at the end."""
    save_at = time.monotonic() + job.checkpoint_s
    with channel.patience() as stop_requested:
        for event in trainer:
            reporter.hear(event)
            best, stopping = isinstance(event, Validated) and event.best, stop_requested()
            if best or stopping or time.monotonic() >= save_at:
                reporter.save(best=best)
                save_at = time.monotonic() + job.checkpoint_s
            if stopping:
                return
        reporter.save()


def _inputs_after_start(fitted: Fitted, test: Series) -> Floats | None:
    """External inputs of the rows after the stored start, which is the first state of the test piece."""
    if not fitted.cell.inputs:
        return None
    whole, lost = bridged(test)[0], fitted.embedding.rows_lost
    first = next(iter(whole.runs(lost + 1)), slice(0, 0))
    u: Floats = whole.inputs[first][lost + 1 :]
    return u


def _send_trajectory(folder: Path, fitted: Fitted, steps: int, inputs: Floats | None, channel: Channel) -> Floats:
    z = free_latent(fitted, steps, inputs=None if inputs is None else inputs[:steps])
    x = read_out(fitted, z)
    buffer = io.BytesIO()
    np.savez(buffer, x=x, z=z, latent_start=fitted.latent_start)
    (folder / TRAJECTORY_FILE).write_bytes(buffer.getvalue())
    facts = {"steps": steps, "channels": fitted.channels}
    channel.send(
        ArtifactMade(
            kind="trajectory", file=TRAJECTORY_FILE, name=TRAJECTORY_FILE, media_type="application/x-npz", facts=facts
        )
    )
    return x
