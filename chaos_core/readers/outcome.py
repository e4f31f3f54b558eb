"""What the reading process left behind, as its parent sees it."""

import json
from pathlib import Path
from typing import Any

from chaos_core.errors import ParserLimit, revive
from chaos_core.readers.refusals import ReaderCrashed

__all__ = ["outcome"]

BREAKDOWNS = {4: "SIGILL", 7: "SIGBUS", 8: "SIGFPE", 11: "SIGSEGV"}
"""Signals that a library's own mistake sends. SIGABRT is none of them: Rust sends it where memory runs out."""


def outcome(folder: Path, code: int) -> dict[str, Any]:
    """The facts about the series, or the error.

    Args:
        folder: the folder that `python -m chaos_core.readers` was given.
        code: the exit status of that process, negative where a signal ended it.

    Raises:
        ChaosError: what the reader found.
        ReaderCrashed: a library broke down on the bytes.
        ParserLimit: the process was stopped.
    """
    if (folder / "error.json").exists():
        raise revive(json.loads((folder / "error.json").read_text()))
    if -code in BREAKDOWNS:
        raise ReaderCrashed(
            f"the reading library broke down on the file ({BREAKDOWNS[-code]})", signal=BREAKDOWNS[-code]
        )
    if code != 0 or not (folder / "facts.json").exists():
        raise ParserLimit(f"the reader was stopped by its limits (exit code {code})", exit_code=code)
    facts: dict[str, Any] = json.loads((folder / "facts.json").read_text())
    return facts
