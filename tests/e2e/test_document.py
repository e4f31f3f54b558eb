"""The OpenAPI document holds what it promises; `./scripts/fuzz http` tries it with tens of thousands of requests."""

import subprocess
import sys

from tests.house.tree import ROOT


def test_generated_requests_are_answered_as_the_document_says() -> None:
    words = ["--databases", "sqlite", "--calls", "200", "--phases", "examples,fuzzing"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.http", *words], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
