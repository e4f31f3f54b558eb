"""A runner that does what the job's spec says, word by word: a real process that misbehaves on request."""

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def act(folder: Path, step: dict[str, Any]) -> None:
    match step:
        case {"say": message}:
            tell(json.dumps(message))
        case {"print": text}:
            tell(text)
        case {"write": file, "content": text}:
            (folder / file).write_text(text)
        case {"sleep": seconds}:
            time.sleep(seconds)
        case {"deaf": True}:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case {"polite": code}:
            signal.signal(signal.SIGTERM, lambda *_: os._exit(code))
        case {"segfault": True}:
            ctypes.string_at(0)
        case {"exit": code}:
            sys.exit(code)


if __name__ == "__main__":
    where = Path(json.loads(sys.stdin.readline())["folder"])
    for line in json.loads((where / "job.json").read_bytes())["spec"]["script"]:
        act(where, line)
