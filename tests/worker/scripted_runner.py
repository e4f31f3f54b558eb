"""A runner that does what the job's spec says, word by word: a real process that misbehaves on request."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HELD: list[bytearray] = []


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def act(folder: Path, step: dict[str, Any]) -> None:
    match step:
        case {"say": message}:
            tell(json.dumps(message))
        case {"print": text}:
            tell(text)
        case {"complain": text, "times": times}:
            sys.stderr.write(text * times)
            sys.stderr.flush()
        case {"write": file, "content": text, "times": times}:
            (folder / file).write_text(text * times)
        case {"sleep": seconds}:
            time.sleep(seconds)
        case {"deaf": True}:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        case {"polite": code}:
            signal.signal(signal.SIGTERM, lambda *_: os._exit(code))
        case {"on_sigterm": script}:
            signal.signal(signal.SIGTERM, lambda *_: [act(folder, word) for word in script])
        case {"segfault": True}:
            ctypes.string_at(0)
        case {"exit": code}:
            sys.exit(code)
        case {"hold": size}:
            HELD.append(bytearray(os.urandom(4096) * (size // 4096)))
        case {"kill": number}:
            os.kill(os.getpid(), number)
        case {"spin": True}:
            while True:
                pass
        case {"child": script}:
            subprocess.Popen([sys.executable, __file__, json.dumps(script)])
        case {"tell_folder": file}:
            names = sorted(path.name for path in folder.iterdir())
            checkpoint = folder / "checkpoint"
            tell_file = {"names": names, "checkpoint": checkpoint.read_text() if checkpoint.exists() else None}
            Path(file).write_text(json.dumps(tell_file))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        for line in json.loads(sys.argv[1]):
            act(Path(), line)
        sys.exit()
    where = Path(json.loads(sys.stdin.readline())["folder"])
    for line in json.loads((where / "job.json").read_bytes())["spec"]["script"]:
        act(where, line)
