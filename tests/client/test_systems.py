"""`chaos systems` and `chaos generate`, as typed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from chaos_client.cli.main import app
from chaos_core.readers import ReadOptions, read
from chaos_core.systems import SYSTEMS, record, system
from chaos_store import keys
from chaos_store.engine import open_database
from chaos_store.settings import Settings


def chaos(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_list_names_every_system_with_its_nature() -> None:
    shown = chaos("systems").output
    assert [kind for kind in SYSTEMS if kind not in shown] == []
    listed = json.loads(chaos("systems", "--json").output)
    assert {kind: facts["lambda_max"] for kind, facts in listed.items()} == {
        kind: settings.lambda_max for kind, settings in SYSTEMS.items()
    }
    assert "rho" in listed["lorenz63"]["settings_schema"]["properties"]


def test_a_generated_file_holds_the_rows_asked_for() -> None:
    words = ("--steps", "300", "--noise", "0.05", "--set", "rho=38", "--set", "dt=0.02", "--channels", "z, x")
    done = chaos("generate", "lorenz63", *words, "-o", "orbit.csv")
    assert (done.exit_code, done.output) == (0, "orbit.csv: 300 rows of z, x, dt = 0.02\n")
    expected = record(system("lorenz63", rho=38, dt=0.02), 300, noise=0.05, channels=["z", "x"])
    assert read("orbit.csv", options=ReadOptions(dt=0.02)).digest() == expected.digest()


def test_a_nested_system_is_given_as_json() -> None:
    of = 'of={"kind": "rossler", "c": 6.0}'
    assert chaos("generate", "surrogate", "--steps", "200", "--set", of, "--set", "channel=y").exit_code == 0
    y = np.sort(system("rossler", c=6.0).generate(200).x[:, 1])
    np.testing.assert_array_equal(np.sort(read("surrogate.csv").x[:, 0]), y)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("lorentz",), "there is no system 'lorentz'"),
        (("lorenz63", "--set", "sigm=1"), "sigm: Extra inputs are not permitted"),
        (("lorenz63", "--set", "dt=0"), "dt: Input should be greater than 0"),
        (("lorenz63", "--steps", "5"), "5 steps; at least 32"),
        (("lorenz63", "--channels", "w"), "no channel 'w'"),
        (("henon", "--set", "a=2"), "'henon' runs to infinity"),
        (("sine", "-o", "nowhere/sine.csv"), "No such file or directory"),
        (("sine", "--upload"), "no service runs on the folder data"),
    ],
)
def test_what_cannot_be_generated_is_said_in_one_line(words: tuple[str, ...], told: str) -> None:
    done = chaos("generate", *words)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ") and told in done.stderr and done.stderr.count("\n") == 1


def test_a_setting_without_a_value_is_a_usage_error() -> None:
    assert chaos("generate", "lorenz63", "--set", "rho").exit_code == 2


@pytest.fixture
def serving(sqlite_settings: Settings) -> Iterator[Path]:
    """The folder of a running API with a key, as `chaos serve` leaves it."""
    folder = sqlite_settings.data_dir
    database = open_database(sqlite_settings)
    with database.write.begin() as session:
        secret = keys.issue(session, keys.create_project(session, "test").id, "test")[1]
    database.dispose()
    ready = folder / "ready.json"
    environment = os.environ | {"CHAOS_DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "api", "--port", "0", "--ready-file", str(ready)]
    root = Path(__file__).parents[2]
    service = subprocess.Popen(command, env=environment, cwd=root, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not ready.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        url = json.loads(ready.read_text())["url"]
        (folder / "service.json").write_text(json.dumps({"url": url, "api_key": secret}))
        yield folder
    finally:
        service.kill()
        service.wait()


def test_a_generated_file_can_be_sent_to_the_service(serving: Path) -> None:
    done = chaos("generate", "henon", "--steps", "100", "--upload", "--data-dir", str(serving))
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1].startswith("dataset ds_")
