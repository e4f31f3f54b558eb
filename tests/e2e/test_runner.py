"""A runner process by itself: a folder in, messages and an exit code out."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from chaos_core.fitted import from_safetensors
from chaos_core.spec import Spec
from chaos_core.systems import lorenz63
from worker.protocol import (
    EXIT_CODES,
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    JOB_FILE,
    SERIES_FILE,
    AnalysisMade,
    ArtifactMade,
    Assignment,
    CheckpointSaved,
    Failed,
    Message,
    Progress,
    Result,
    decode,
)
from worker.spare import Runner

PATIENCE_S = 40.0
LONG_TRAINING = {
    "cell": {"kind": "clipped_shplrnn", "hidden": 20},
    "training": {"updates": 1_000_000, "sequence_length": 20, "batch_size": 8, "validations": 1},
}


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    child = Runner(tmp_path)
    yield child
    child.close()
    assert not psutil.pid_exists(child.pid)


def listen(runner: Runner, until: type[Message] | None = None) -> list[Message]:
    heard: list[Message] = []
    deadline = time.monotonic() + PATIENCE_S
    while not runner.silent and time.monotonic() < deadline:
        heard += runner.read(0.2)
        if until is not None and any(isinstance(message, until) for message in heard):
            break
    return heard


def job_folder(folder: Path, kind: str, **changes: object) -> Path:
    folder.mkdir()
    (folder / SERIES_FILE).write_bytes(lorenz63(1500, dt=0.05, seed=0).to_npz())
    (folder / JOB_FILE).write_text(json.dumps({"kind": kind, "job_id": "job_1", **changes}))
    return folder


def test_a_runner_does_the_job_in_its_folder_and_ends(runner: Runner, tmp_path: Path) -> None:
    runner.give(job_folder(tmp_path / "job", "analyse"))
    heard = listen(runner)
    assert [type(message) for message in heard if isinstance(message, AnalysisMade | Result)] == [AnalysisMade, Result]
    assert runner.finish() == EXIT_DONE


def test_bad_input_comes_back_as_a_problem_and_an_exit_code(runner: Runner, tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", "analyse")
    (folder / SERIES_FILE).write_bytes(b"not a series")
    runner.give(folder)
    failed = [message for message in listen(runner) if isinstance(message, Failed)]
    assert failed[0].problem["code"] == "unreadable_file"
    assert runner.finish() == EXIT_REFUSED


def test_sigterm_saves_a_training_and_ends_with_the_code_for_it(runner: Runner, tmp_path: Path) -> None:
    spec = Spec.model_validate(LONG_TRAINING).model_dump(mode="json", exclude_unset=True)
    folder = job_folder(tmp_path / "job", "train", spec=spec)
    runner.give(folder)
    listen(runner, until=Progress)
    runner.terminate()
    heard = listen(runner)
    saved = [message for message in heard if isinstance(message, CheckpointSaved)]
    assert len(saved) == 1 and (folder / saved[0].file).stat().st_size > 0
    assert runner.finish() == EXIT_INTERRUPTED


def test_each_new_best_state_is_saved_with_its_model(runner: Runner, tmp_path: Path) -> None:
    judged_often = {**LONG_TRAINING, "training": {**LONG_TRAINING["training"], "validations": 500}}
    spec = Spec.model_validate(judged_often).model_dump(mode="json", exclude_unset=True)
    folder = job_folder(tmp_path / "job", "train", spec=spec)
    runner.give(folder)
    best = next(message for message in listen(runner, until=CheckpointSaved) if isinstance(message, CheckpointSaved))
    assert best.best and best.model is not None and (folder / best.file).stat().st_size > 0
    fitted = from_safetensors((folder / best.model.file).read_bytes())
    assert fitted.provenance["update"] == best.update


def test_a_runner_names_each_file_once_also_where_the_last_state_is_the_best(runner: Runner, tmp_path: Path) -> None:
    """The supervisor takes a file away as soon as it is stored, which may be while the runner writes the next."""
    short = {**LONG_TRAINING, "training": {**LONG_TRAINING["training"], "updates": 6000, "restarts": 0}}
    spec = Spec.model_validate(short).model_dump(mode="json", exclude_unset=True)
    runner.give(job_folder(tmp_path / "job", "train", spec=spec))
    heard = listen(runner)
    saved = [message for message in heard if isinstance(message, CheckpointSaved)]
    made = [message for message in heard if isinstance(message, ArtifactMade)]
    made += [message.model for message in saved if message.model is not None]
    files = [message.file for message in (*saved, *made)]
    assert len([file for file in files if "model" in file]) == 2
    assert len(files) == len(set(files))


def test_a_checkpoint_of_another_training_is_refused(runner: Runner, tmp_path: Path) -> None:
    spec = Spec.model_validate(LONG_TRAINING).model_dump(mode="json", exclude_unset=True)
    folder = job_folder(tmp_path / "job", "train", spec=spec, has_checkpoint=True)
    (folder / "checkpoint").write_bytes(b"no state of a training")
    runner.give(folder)
    failed = [message for message in listen(runner) if isinstance(message, Failed)]
    assert failed[0].problem["code"] == "checkpoint_unreadable"
    assert runner.finish() == EXIT_CODES["checkpoint_unreadable"]


def test_sigterm_ends_other_work_at_once(runner: Runner, tmp_path: Path) -> None:
    runner.give(job_folder(tmp_path / "job", "analyse"))
    runner.terminate()
    assert not [message for message in listen(runner) if isinstance(message, Result)]
    assert runner.finish() in (EXIT_INTERRUPTED, -15)


def test_a_log_without_room_does_not_change_how_a_runner_ends(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job", "analyse")
    (folder / JOB_FILE).write_text("not a job")
    assignment = Assignment(folder=str(folder)).model_dump_json().encode() + b"\n"
    command = [sys.executable, "-m", "worker.runner.light"]
    with Path("/dev/full").open("wb") as full:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=full, start_new_session=True
        )
    assert child.stdin is not None and child.stdout is not None
    with child:
        child.stdin.write(assignment)
        child.stdin.flush()
        heard = [decode(line).type for line in child.stdout]
        code = child.wait(PATIENCE_S)
    assert heard == ["ready", "error"]
    assert code == EXIT_CODES["runner_crashed"]
