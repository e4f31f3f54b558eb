"""`python -m worker.runner`: imports everything, waits for one job folder, does that job and ends."""

from .lifeline import Lifeline

LIFELINE = Lifeline()

import os  # noqa: E402 - the imports below take seconds, and the lifeline must hold meanwhile
import sys  # noqa: E402
import traceback  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import BinaryIO  # noqa: E402

import torch  # noqa: E402

from chaos_core.errors import ChaosError, OutOfMemory, RunnerCrashed  # noqa: E402

from ..protocol import EXIT_DONE, EXIT_INTERRUPTED, JOB_FILE, Failed, JobFile, Ready, exit_code  # noqa: E402
from .analyse import analyse_job  # noqa: E402
from .channel import Channel, Interrupted  # noqa: E402
from .ingest import ingest_job  # noqa: E402
from .train import train_job  # noqa: E402

KINDS = {"train": train_job, "analyse": analyse_job, "ingest": ingest_job}
STDOUT, STDERR = 1, 2


def _private_stdout() -> BinaryIO:
    """The pipe to the supervisor, out of reach of libraries that print."""
    out = os.fdopen(os.dup(STDOUT), "wb")
    os.dup2(STDERR, STDOUT)
    return out


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
    assignment = LIFELINE.assignment()
    try:
        channel.listen()
        return _do(Path(assignment.folder), channel)
    except Interrupted:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)
