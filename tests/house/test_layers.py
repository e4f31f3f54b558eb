import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT

LIGHT = [
    "api.app",
    "chaos_client",
    "chaos_client.cli.main",
    "chaos_client.demo",
    "chaos_core",
    "chaos_core.analysis",
    "chaos_core.baselines",
    "chaos_core.cells",
    "chaos_core.citations",
    "chaos_core.comparison",
    "chaos_core.families",
    "chaos_core.losses",
    "chaos_core.refusal",
    "chaos_core.fitted",
    "chaos_core.forcing",
    "chaos_core.generation",
    "chaos_core.metrics",
    "chaos_core.native",
    "chaos_core.observation",
    "chaos_core.onnx_model",
    "chaos_core.pipeline",
    "chaos_core.planning",
    "chaos_core.reader_script",
    "chaos_core.readers",
    "chaos_core.run",
    "chaos_core.skill",
    "chaos_core.spec",
    "chaos_core.systems",
    "chaos_store.jobs",
    "chaos_store.migrate",
    "worker.presence",
    "worker.reaper",
    "worker.sending.sender",
    "worker.supervisor",
]


def _loaded_after(module: str, *unwanted: str) -> list[str]:
    code = f"import sys, {module}; print(*[name for name in {unwanted!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_do_not_load_torch(module: str) -> None:
    assert _loaded_after(module, "torch") == []


def test_importing_the_core_loads_neither_scipy_nor_torch() -> None:
    assert _loaded_after("chaos_core", "torch", "scipy", "matplotlib") == []


def test_importing_the_trainer_loads_no_part_of_scipy() -> None:
    assert _loaded_after("chaos_core.pipeline", "scipy.signal", "scipy.stats", "scipy.interpolate", "matplotlib") == []


@pytest.mark.native
def test_a_native_training_does_not_load_torch() -> None:
    code = """
import sys
from chaos_core import Spec, analyse, plan
from chaos_core.systems import lorenz63
from chaos_core.training import Trainer
series = lorenz63(1500)
trainer = Trainer(series, plan(Spec(), analyse(series)))
next(iter(trainer))
print(trainer.kernel, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["native", "False"]


def test_the_api_starts_without_scipy_and_matplotlib_and_what_few_requests_need() -> None:
    assert _loaded_after("api.app", "scipy", "matplotlib", "onnx", "polars") == []


def test_the_runner_loads_no_database_code() -> None:
    assert _loaded_after("worker.runner", "chaos_store", "sqlalchemy", "celery") == []


def test_leaves_use_relative_imports_only() -> None:
    absolute = [
        f"{path.relative_to(ROOT)}:{number}"
        for leaf in ("api", "worker")
        for path in (ROOT / leaf).rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if line.startswith((f"from {leaf}", f"import {leaf}"))
    ]
    assert absolute == []


def test_judging_what_a_reader_left_loads_no_parser() -> None:
    assert _loaded_after("chaos_core.readers.outcome", "numpy", "polars", "h5py", "zstandard", "scipy") == []
    assert _loaded_after("chaos_core.readers.limits", "numpy", "polars", "h5py", "zstandard", "scipy") == []


def test_telling_formats_loads_neither_hdf5_nor_scipy() -> None:
    assert _loaded_after("chaos_core.readers.recognition", "h5py", "zstandard", "scipy") == []
