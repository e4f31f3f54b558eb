"""Malicious files through the limited child process: each is refused by its own code, in little time and memory.

The processor time and the memory are limits that the child enforces on itself, so that a busy machine changes
nothing. `python -m tests.core.test_reader_malice` prints what each file took.
"""

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from chaos_core.errors import ChaosError, ParserLimit
from chaos_core.readers import refusals
from chaos_core.readers.outcome import outcome
from tests.core.files import PACKED, WHOLE, put
from tests.core.malice import ATTACKS, MIB, Attack
from tests.fuzz.readers import attempt, damaged

CPU_S = 2
MEMORY_BYTES = 512 * MIB


def attacked(folder: Path, attack: Attack) -> tuple[dict[str, Any], float, int]:
    """The problem, seconds on the wall, and the child's peak of resident memory in bytes."""
    content = attack.make()
    (folder / "upload").write_bytes(content)
    request = {"file": "upload", "name": attack.name, "cpu_s": CPU_S, "memory_bytes": MEMORY_BYTES, **attack.words}
    (folder / "request.json").write_text(json.dumps(request))
    started = time.monotonic()
    command = [sys.executable, "-m", "chaos_core.readers", str(folder)]
    with (folder / "stderr.txt").open("wb") as stderr, subprocess.Popen(command, stderr=stderr) as child:
        peak = 0
        while child.poll() is None:
            peak = max(peak, resident(child.pid))
            time.sleep(0.005)
    took = time.monotonic() - started
    try:
        found = outcome(folder, child.returncode)
    except ChaosError as error:
        found = error.problem()
    return found, took, peak


def resident(pid: int) -> int:
    """The highest resident memory so far, in bytes; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_malicious_file_is_refused_by_its_own_code_within_the_limits(tmp_path: Path, attack: Attack) -> None:
    problem, _, _ = attacked(tmp_path, attack)
    assert problem.get("code") == attack.code, problem
    assert problem["remedy"].endswith(".")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"upload", "request.json", "error.json", "stderr.txt"}


@pytest.mark.parametrize(("code", "error"), [(-11, refusals.ReaderCrashed), (-6, ParserLimit), (1, ParserLimit)])
def test_the_death_of_the_reader_is_an_error_of_the_file(tmp_path: Path, code: int, error: type[ChaosError]) -> None:
    with pytest.raises(error) as caught:
        outcome(tmp_path, code)
    assert type(caught.value) is error


@pytest.mark.parametrize("kind", [*WHOLE, "csv gz", "csv zst"])
def test_damaged_files_of_every_format_are_read_or_refused_by_name(tmp_path: Path, kind: str) -> None:
    name, whole = (WHOLE | PACKED)[kind]
    rng = random.Random(kind)
    for _ in range(40):
        result = attempt(put(tmp_path, name, damaged(rng, whole, whole)), {}, "auto")
        assert result == "read" or result.startswith("refused"), result


def report() -> None:
    lines = []
    for title, attack in ATTACKS.items():
        with TemporaryDirectory() as folder:
            problem, took, peak = attacked(Path(folder), attack)
        right = "" if problem.get("code") == attack.code else f"   EXPECTED {attack.code}: {problem.get('detail')}"
        lines.append(f"{title:36} {problem.get('code', 'READ'):20} {took:5.2f} s {peak / MIB:5.0f} MiB{right}")
        sys.stdout.write(lines[-1] + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    report()
