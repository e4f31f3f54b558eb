"""The job kind `baseline`: a series in; a free run, a picture and scores out, without torch."""

import io
from pathlib import Path

import numpy as np

from chaos_core.comparison import compare
from chaos_core.figures import attractor_figure
from chaos_core.spec import BaselineSpec
from chaos_core.windows import longest_run

from ..protocol import ArtifactMade, JobFile, Result, Stage
from .analyse import read_series
from .channel import Channel
from .drawing import send_figure

RUN_FILE = "trajectory.npz"
MOST_STORED_STEPS = 100_000


def baseline_job(folder: Path, job: JobFile, channel: Channel) -> None:
    series, asked = read_series(folder), BaselineSpec.model_validate(job.spec or {})
    train, validation, test = series.split(**asked.split.model_dump())
    known = series.rows(0, train.length + validation.length)
    channel.send(Stage(stage="evaluating"))
    found = compare(asked.baseline, known, test, evaluation=asked.evaluation, embedding=asked.embedding)
    channel.send(Stage(stage="storing"))
    buffer = io.BytesIO()
    np.savez(buffer, x=found.run[:MOST_STORED_STEPS])
    (folder / RUN_FILE).write_bytes(buffer.getvalue())
    channel.send(ArtifactMade(kind="trajectory", file=RUN_FILE, name=RUN_FILE, media_type="application/x-npz"))
    channel.send(Stage(stage="drawing"))
    kind = str(asked.baseline.model_dump()["kind"])
    figure = attractor_figure(longest_run(test).x, found.run, series.names, series.dt, kind)
    send_figure(folder, channel, "attractor", figure)
    channel.send(Result(values={"scores": found.scores.model_dump(mode="json")}))
