"""Triton's compiler takes the programs, which its interpreter does not show: for GPUs that need not be there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")
ROOT = Path(__file__).parents[2]
SHARED_MEMORY = {80: 163 * 1024, 86: 99 * 1024, 90: 227 * 1024}
"""Bytes for one block, by compute capability (CUDA C++ Programming Guide): A100, GeForce 30, H100."""


@pytest.mark.parametrize(("latent", "hidden"), [(1, 1), (3, 50), (7, 300), (20, 100), (64, 500), (128, 128)])
@pytest.mark.parametrize("architecture", SHARED_MEMORY)
def test_the_programs_compile_and_fit_the_shared_memory(
    architecture: int, latent: int, hidden: int, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu.compiled", str(architecture), str(latent), str(hidden)],
        cwd=ROOT, env=environment | {"TRITON_CACHE_DIR": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    wanted = json.loads(done.stdout)
    assert set(wanted) == {"forward", "backward", "weight_gradients"}
    assert all(size <= SHARED_MEMORY[architecture] for size in wanted.values()), wanted
