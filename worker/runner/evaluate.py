"""The job kind `evaluate`: two trajectories in, scores out, without torch."""

import io
from pathlib import Path

import numpy as np

from chaos_core.errors import Inconsistent, TooShort, UnreadableFile
from chaos_core.gaps import bridged
from chaos_core.scoring import mean_scores, score_series
from chaos_core.scoring_options import Scoring, check_dt
from chaos_core.series import Series
from chaos_core.typing import Floats
from chaos_core.windows import longest_run

from ..protocol import GENERATED_FILE, JobFile, Json, Result, Stage
from .analyse import read_series
from .channel import Channel


def evaluate_job(folder: Path, job: JobFile, channel: Channel) -> None:
    channel.send(Stage(stage="evaluating"))
    how, sides = Scoring.model_validate(job.options["scoring"]), job.options
    aligned = how.generated_as != "free_run"
    true = _piece(read_series(folder), sides["true"])
    x = true.x if aligned else _unbroken(true, "true")
    content = (folder / GENERATED_FILE).read_bytes()
    if sides["generated"]["kind"] == "dataset":
        other = _piece(Series.from_npz(content), sides["generated"])
        check_dt(true.dt, other.dt)
        scores = score_series(x, other.x if aligned else _unbroken(other, "generated"), how)
    else:
        runs, wanted = _runs(content), sides["generated"]["run"]
        chosen = range(len(runs)) if wanted == "all" else [_existing(wanted, len(runs))]
        by_run = {run: score_series(x, runs[run], how) for run in chosen}
        scores = mean_scores(by_run) if wanted == "all" else by_run[chosen[0]]
    channel.send(Result(values={"scores": {name: score.model_dump(mode="json") for name, score in scores.items()}}))


def _piece(series: Series, side: Json) -> Series:
    if side["piece"] == "whole":
        return series
    pieces = dict(zip(("train", "validation", "test"), series.split(**side["split"]), strict=True))
    return pieces[side["piece"]]


def _unbroken(series: Series, role: str) -> Floats:
    """The longest run without a gap, as the job's own evaluation takes it."""
    found = longest_run(bridged(series)[0]) if series.length else series
    if not found.length:
        raise TooShort(f"the {role} series has no row in which all channels are known", rows=0, rows_needed=1)
    return found.x


def _runs(content: bytes) -> Floats:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            x: Floats = stored["x"]
    except (ValueError, KeyError, OSError) as error:
        raise UnreadableFile(f"not a stored trajectory: {error}") from error
    return x[None] if x.ndim == 2 else x


def _existing(run: int, count: int) -> int:
    if run >= count:
        raise Inconsistent(f"there is no run {run}: the trajectory has {count}, counted from 0", runs=count)
    return run
