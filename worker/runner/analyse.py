"""The job kind `analyse`: a series in, the facts about it out."""

from pathlib import Path

from chaos_core.analysis import Analysis, analyse
from chaos_core.analysis_options import AUTOMATIC, AnalysisOptions
from chaos_core.figures import divergence_figure
from chaos_core.series import Series

from ..protocol import SERIES_FILE, AnalysisMade, JobFile, Result, Stage
from .channel import Channel
from .drawing import send_figure


def read_series(folder: Path) -> Series:
    return Series.from_npz((folder / SERIES_FILE).read_bytes())


def make_analysis(series: Series, channel: Channel, options: AnalysisOptions = AUTOMATIC) -> Analysis:
    channel.send(Stage(stage="analysing"))
    analysis = analyse(series, options)
    channel.send(AnalysisMade(analysis=analysis.model_dump(mode="json")))
    return analysis


def analyse_job(folder: Path, job: JobFile, channel: Channel) -> None:
    analysis = make_analysis(read_series(folder), channel, AnalysisOptions.model_validate(job.options))
    send_figure(folder, channel, "divergence", divergence_figure(analysis))
    channel.send(Result(values={}))
