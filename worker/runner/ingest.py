"""The job kind `ingest`: raw bytes of an upload in, a series out, parsed in a process with limits of its own."""

import json
import subprocess
import sys
from pathlib import Path

from chaos_core.readers.outcome import outcome

from ..protocol import SERIES_FILE, UPLOAD_FILE, ArtifactMade, JobFile, Result, Stage
from .channel import Channel

REQUEST_FILE = "request.json"


def ingest_job(folder: Path, job: JobFile, channel: Channel) -> None:
    channel.send(Stage(stage="reading"))
    (folder / REQUEST_FILE).write_text(json.dumps({**job.options, "file": UPLOAD_FILE}))
    facts = outcome(folder, _parse(folder))
    media_type = "application/x-npz"
    channel.send(ArtifactMade(kind="dataset", file=SERIES_FILE, name=SERIES_FILE, media_type=media_type, facts=facts))
    channel.send(Result(values={}))


def _parse(folder: Path) -> int:
    """The pipe is never written to: its end, when this process dies, is the end of the parser."""
    command = [sys.executable, "-m", "chaos_core.readers", "--until-eof", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as parser:
        try:
            return parser.wait()
        except BaseException:
            parser.kill()
            raise
