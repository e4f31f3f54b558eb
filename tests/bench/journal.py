"""What a measurement that takes hours says and keeps: a line for each trial, so that a run broken off goes on."""

import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["keep", "kept", "say"]


def say(line: str) -> None:
    """Shown at once, also where the output goes to a file."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def kept(file: Path) -> list[dict[str, Any]]:
    """All trials so far, in order; none where there is no file."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def keep(file: Path, record: dict[str, Any]) -> None:
    """Adds a trial."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as journal:
        journal.write(json.dumps(record) + "\n")
