"""Reads one file in this process under limits: `python -m chaos_core.readers [--until-eof] FOLDER`.

FOLDER/request.json names the file and the sender's words; the answer is FOLDER/series.npz with FOLDER/facts.json, or
FOLDER/error.json. The exit status is 0 in both cases; anything else means that the process was stopped.
With --until-eof the process ends when its standard input does: a parent that holds the other end takes it along.
"""

import importlib
import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from chaos_core.errors import ChaosError, DataError, ParserLimit

if sys.platform != "win32":
    import resource

MEMORY_BYTES = 4 * 1024**3
CPU_S = 300
GRACE_S = 5
NO_PLUGINS = "::"
"""HDF5 then loads no filter from other libraries."""


def main(folder: Path) -> None:
    """Reads what FOLDER/request.json asks for and leaves the answer beside it."""
    request = json.loads((folder / "request.json").read_text())
    memory_bytes, cpu_s = int(request.get("memory_bytes") or MEMORY_BYTES), int(request.get("cpu_s") or CPU_S)
    try:
        answer = _read(folder, request, memory_bytes, cpu_s)
    except MemoryError:
        answer = ParserLimit(f"more than {memory_bytes} bytes of memory are needed", limit="memory_bytes").problem()
    except ChaosError as error:
        answer = error.problem()
    is_error = "code" in answer
    draft = folder / "answer.part"
    draft.write_text(json.dumps(answer))
    draft.replace(folder / ("error.json" if is_error else "facts.json"))


def _read(folder: Path, request: dict[str, Any], memory_bytes: int, cpu_s: int) -> dict[str, Any]:
    _limit_time(cpu_s)
    os.environ |= dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    os.environ["HDF5_PLUGIN_PRELOAD"] = NO_PLUGINS
    # The libraries read these variables and start their threads when they are loaded, so that must happen here.
    readers = importlib.import_module("chaos_core.readers")
    read_file, options = readers.read_file, readers.ReadOptions
    importlib.import_module("chaos_core.readers.formats").formats()
    _limit_memory(memory_bytes)
    tempfile.tempdir = str(folder)
    words = {word: request[word] for word in options.model_fields if request.get(word) is not None}
    try:
        asked = options(**words)
    except ValueError as error:
        raise DataError(f"the options cannot be used: {error}") from error
    reading = read_file(folder / request["file"], request.get("format") or "auto", asked)
    reading.series.write_npz(folder / "series.npz")
    facts: dict[str, Any] = reading.facts()
    return facts


def _limit_time(cpu_s: int) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise ParserLimit(f"reading took more than {cpu_s} s of processor time", limit="cpu_s")

    if sys.platform != "win32":
        signal.signal(signal.SIGXCPU, stop)
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + GRACE_S))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_memory(memory_bytes: int) -> None:
    """Bounds what is allocated from here on; threads and libraries that are loaded already do not count."""
    pages = Path("/proc/self/statm")
    if sys.platform != "win32" and pages.exists():
        used = int(pages.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + memory_bytes, used + memory_bytes))


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    if sys.argv[1] == "--until-eof":
        threading.Thread(target=_end_with_input, daemon=True).start()
    main(Path(sys.argv[-1]))
