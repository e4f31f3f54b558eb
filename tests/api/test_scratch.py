"""What is left of an API that was killed: nothing, after the next start."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from api.scratch import scratch


def test_temporary_files_lie_in_the_data_folder_and_end_with_the_process(tmp_path: Path) -> None:
    before = tempfile.gettempdir()
    with scratch(tmp_path), tempfile.TemporaryDirectory() as folder:
        assert Path(folder).parent == tmp_path / "scratch" / f"api-{os.getpid()}"
    assert tempfile.gettempdir() == before
    assert list((tmp_path / "scratch").iterdir()) == []


def test_folders_of_dead_processes_are_removed_and_others_stay(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name in (f"api-{dead.pid}", f"api-{os.getpid()}", "api-odd", f"api-{os.getppid()}", "1234"):
        (tmp_path / "scratch" / name / "upload").mkdir(parents=True)
    with scratch(tmp_path):
        left = {path.name for path in (tmp_path / "scratch").iterdir()}
        assert left == {f"api-{os.getpid()}", f"api-{os.getppid()}", "1234"}
        assert list((tmp_path / "scratch" / f"api-{os.getpid()}").iterdir()) == []


def test_a_reader_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "request.json")
    command = [sys.executable, "-m", "chaos_core.readers", "--until-eof", str(tmp_path)]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE)
    time.sleep(0.5)
    assert reader.poll() is None
    assert reader.stdin is not None
    reader.stdin.close()
    assert reader.wait(10) == 1
