"""`python -m worker.runner`: imports everything, waits for one job folder, does that job and ends."""

import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import BinaryIO

import torch

from chaos_core.errors import ChaosError, OutOfMemory, RunnerCrashed

from ..protocol import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    JOB_FILE,
    Assignment,
    Failed,
    JobFile,
    Ready,
    exit_code,
)
from .analyse import analyse_job
from .channel import Channel, Interrupted
from .ingest import ingest_job
from .train import train_job

KINDS = {"train": train_job, "analyse": analyse_job, "ingest": ingest_job}
STDIN, STDOUT, STDERR = 0, 1, 2


def _private_stdout() -> BinaryIO:
    """The pipe to the supervisor, out of reach of libraries that print."""
    out = os.fdopen(os.dup(STDOUT), "wb")
    os.dup2(STDERR, STDOUT)
    return out


def _await_assignment() -> Assignment | None:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(STDIN, 65536)
        if not piece:
            return None
        line += piece
    return Assignment.model_validate_json(line)


def _die_with_the_pipe() -> None:
    """The supervisor holds the other end for as long as it lives; the group takes any grandchild along."""
    while os.read(STDIN, 65536):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _do(folder: Path, channel: Channel) -> int:
    try:
        job = JobFile.model_validate_json((folder / JOB_FILE).read_bytes())
        KINDS[job.kind](folder, job, channel)
    except Interrupted:
        return EXIT_INTERRUPTED
    except ChaosError as error:
        return _fail(channel, error)
    except (MemoryError, torch.OutOfMemoryError) as error:
        return _fail(channel, OutOfMemory(f"the machine had no more memory: {error}"))
    except Exception as error:
        traceback.print_exc()
        return _fail(channel, RunnerCrashed(f"{type(error).__name__}: {error}"))
    return EXIT_DONE


def _fail(channel: Channel, error: ChaosError) -> int:
    channel.send(Failed(problem=error.problem()))
    return exit_code(type(error))


def main() -> int:
    channel = Channel(_private_stdout())
    torch.set_num_threads(1)
    channel.send(Ready())
    assignment = _await_assignment()
    if assignment is None:
        return EXIT_DONE
    threading.Thread(target=_die_with_the_pipe, name="control-pipe", daemon=True).start()
    try:
        channel.listen()
        return _do(Path(assignment.folder), channel)
    except Interrupted:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)
