"""The API as processes of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos_store.settings import Settings

START_S = 60.0
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Api:
    url: str
    process: subprocess.Popen[bytes]

    def has_died(self) -> int:
        """The exit code, once it has ended by itself."""
        return self.process.wait(START_S)


@contextmanager
def api(settings: Settings, *, dying_at: str = "") -> Iterator[Api]:
    """Serves the database of the settings; with `dying_at` it kills itself before the first statement that has these
    words."""
    words = ["-m", "tests.dying_api", dying_at] if dying_at else ["-m", "api"]
    ready = settings.data_dir / f"ready-{time.monotonic_ns()}.json"
    given = {name: value for name, value in os.environ.items() if not name.startswith("CHAOS_")}
    changed = {f"CHAOS_{name.upper()}": str(getattr(settings, name)) for name in settings.model_fields_set}
    command = [sys.executable, *words, "--port", "0", "--ready-file", str(ready)]
    log = ready.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=given | changed, cwd=ROOT, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + START_S
        while not ready.exists():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield Api(json.loads(ready.read_text())["url"], process)
    finally:
        process.terminate()
        process.wait(START_S)
