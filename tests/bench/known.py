"""Flows whose exponents are known, and how a trained model is scored on one."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chaos_core.fitted import Fitted
from chaos_core.generation import generate
from chaos_core.metrics import d_h, d_stsp
from chaos_core.selection import settled
from chaos_core.series import Series
from chaos_core.skill import exponents_of
from tests.bench.lyapunov.cases import Flow, flows

__all__ = ["CACHE", "SEEN_ROWS", "SYSTEMS", "known_flows", "long_orbits", "scored"]

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".bench"
MEASURED, ORBITS = CACHE / "flows", CACHE / "orbits"
BENCH_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
SEEN_ROWS = 7000
SYSTEMS = [
    "Aizawa",
    "Blasius",
    "BurkeShaw",
    "Chen",
    "Chua",
    "Finance",
    "GlycolyticOscillation",
    "Halvorsen",
    "HyperBao",
    "HyperCai",
    "HyperPang",
    "HyperQi",
    "HyperXu",
    "HyperYan",
    "HyperYangChen",
    "ItikBanksTumor",
    "Laser",
    "Lorenz",
    "Lorenz84",
    "LorenzStenflo",
    "LuChen",
    "LuChenCheng",
    "NewtonLiepnik",
    "QiChen",
    "RabinovichFabrikant",
    "RikitakeDynamo",
    "Rossler",
    "Sakarya",
    "SaltonSea",
    "ShimizuMorioka",
    "SprottB",
    "SprottC",
    "SprottE",
    "SprottF",
    "SprottG",
    "SprottI",
    "SprottJerk",
    "SprottK",
    "SprottL",
    "SprottO",
    "SprottP",
    "SprottR",
    "SprottS",
    "SprottTorus",
    "VallisElNino",
    "WangSun",
    "YuWang",
]


def long_orbits(rows: int, names: Sequence[str]) -> dict[str, Flow]:
    """By name; orbits of so many rows that are not there yet are made, which takes minutes."""
    folder, module = ORBITS / str(rows), ["-m", "tests.bench.interval.orbits"]
    subprocess.run([BENCH_PYTHON, *module, MEASURED, folder, str(rows), *names], check=True, cwd=ROOT)
    return {flow.name: flow for flow in flows(folder) if flow.name in names}


def known_flows(unseen: int = 23_000) -> dict[str, Flow]:
    """`SYSTEMS` by name: 7000 rows to be seen, and so many more."""
    return long_orbits(SEEN_ROWS + unseen, SYSTEMS)


def scored(fitted: Fitted | None, flow: Flow) -> dict[str, Any] | None:
    """A free run against the rows that were not seen: D_stsp with its floor, D_H, the exponent over the true one."""
    if fitted is None:
        return None
    unseen = flow.x[SEEN_ROWS:]
    run = settled(generate(fitted, round(1.25 * len(unseen)), unseen[0]), 0.2)
    stsp, hellinger = d_stsp(unseen, run), d_h(unseen, run, floor=False)
    found = exponents_of(fitted, Series(unseen[:2000], flow.dt)).lambda_max
    ratio = None if found is None or not np.isfinite(found) else found / flow.exponent
    return {"d_stsp": stsp.value, "floor": stsp.floor, "d_h": hellinger.value, "ratio": ratio}
