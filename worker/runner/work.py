"""One assignment from its first word to its last: the job is done, or the reason why not is said."""

import errno
import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from chaos_core.errors import ChaosError, OutOfMemory, RunnerCrashed

from ..protocol import EXIT_DONE, EXIT_INTERRUPTED, EXIT_NO_ROOM, JOB_FILE, Failed, JobFile, exit_code
from .channel import Channel, Interrupted

Work = Callable[[Path, JobFile, Channel], None]

STDOUT, STDERR = 1, 2
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

log = logging.getLogger(__name__)


def private_stdout() -> BinaryIO:
    """The pipe to the supervisor, out of reach of libraries that print."""
    out = os.fdopen(os.dup(STDOUT), "wb")
    os.dup2(STDERR, STDOUT)
    return out


def leave(code: int) -> None:
    """Past the end of the interpreter, which may take seconds."""
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


def do(
    folder: Path, channel: Channel, kinds: Mapping[str, Work], hunger: tuple[type[Exception], ...] = (MemoryError,)
) -> int:
    """The exit code; `hunger` are the errors that mean a lack of memory."""
    try:
        job = JobFile.model_validate_json((folder / JOB_FILE).read_bytes())
        kinds[job.kind](folder, job, channel)
    except Interrupted:
        return EXIT_INTERRUPTED
    except ChaosError as error:
        return _fail(channel, error)
    except hunger as error:
        return _fail(channel, OutOfMemory(f"the machine had no more memory: {error}"))
    except Exception as error:
        log.exception("the job ended with an error of the program")
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return EXIT_NO_ROOM
        return _fail(channel, RunnerCrashed(f"{type(error).__name__}: {error}"))
    return EXIT_DONE


def _fail(channel: Channel, error: ChaosError) -> int:
    channel.send(Failed(problem=error.problem()))
    return exit_code(type(error))
