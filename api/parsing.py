"""Reads an upload in a child process with limits, so that no file can hurt the service."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path, PurePath
from typing import Any, Protocol

import chaos_core
from chaos_core.errors import ParserLimit
from chaos_core.readers.outcome import outcome

from .context import Context

WALL_SLACK_S = 5.0
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")
IMPORT_ROOT = str(Path(chaos_core.__file__).parents[1])


class Source(Protocol):
    @property
    def filename(self) -> str: ...

    def reader_words(self) -> dict[str, Any]: ...

    def copy_to(self, path: Path) -> None: ...


async def parse(context: Context, source: Source, folder: Path) -> dict[str, Any]:
    """Leaves `series.npz` in the folder and returns the facts about it, or raises what the reader found."""
    suffix = PurePath(source.filename).suffix
    name = "upload" + (suffix if SUFFIX.fullmatch(suffix) else "")
    await asyncio.to_thread(source.copy_to, folder / name)
    request = {"file": name} | source.reader_words() | context.settings.reader_limits()
    (folder / "request.json").write_text(json.dumps(request))
    async with context.parser_slots:
        code = await run_reader(folder, context.settings.parse_cpu_s + WALL_SLACK_S)
    return outcome(folder, code)


async def run_reader(folder: Path, wall_s: float) -> int:
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": IMPORT_ROOT,
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "2",
    }
    with (folder / "stderr.txt").open("wb") as stderr:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "chaos_core.readers", "--until-eof", str(folder),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=stderr,
            env=environment, cwd=folder, start_new_session=True,
        )  # fmt: skip
    try:
        return await asyncio.wait_for(child.wait(), wall_s)
    except TimeoutError:
        raise ParserLimit(f"reading the file took longer than {wall_s:g} s", limit_s=wall_s) from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
