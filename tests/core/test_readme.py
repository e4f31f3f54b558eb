"""The reader in the README, run as it stands there, against our own free run."""

import re
from pathlib import Path

import numpy as np
import pytest

from chaos_core.analysis import analyse
from chaos_core.fitted import to_safetensors
from chaos_core.generation import generate
from chaos_core.pipeline import fit
from chaos_core.planning import plan
from chaos_core.series import Series
from chaos_core.spec import Spec
from chaos_core.systems import henon

ROOT = Path(__file__).parents[2]
SPEC = {"cell": {"kind": "clipped_shplrnn", "hidden": 20}, "training": {"updates": 2000, "restarts": 0}}


def test_the_readers_free_run_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    reader = next(block for block in blocks if "__metadata__" in block)
    series = Series(henon(2000).x, names=("a", "b"))
    fitted = fit(series, plan(Spec.model_validate(SPEC), analyse(series)))
    (tmp_path / "lorenz.safetensors").write_bytes(to_safetensors(fitted))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(reader, "README.md", "exec"), names)
    np.testing.assert_allclose(np.asarray(names["x"])[:50], generate(fitted, 50), rtol=1e-9)
