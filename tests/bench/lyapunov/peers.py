"""nolds and neurokit2 on series in a file, in .venv-bench: `python peers.py SERIES.npz ANSWERS.json [PEER ...]`."""

import importlib.util
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import neurokit2
import numpy as np


def load_nolds() -> Any:
    """Only the measures: the package's data sets cannot be imported by every Python."""
    package = importlib.util.find_spec("nolds")
    assert package is not None and package.submodule_search_locations is not None
    folder = Path(package.submodule_search_locations[0])
    spec = importlib.util.spec_from_file_location("nolds_measures", folder / "measures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NOLDS = load_nolds()


def nolds_default(x: Any, period: float, lag: int) -> float:
    return float(NOLDS.lyap_r(x))


def nolds_tuned(x: Any, period: float, lag: int) -> float:
    """The settings a specialist would choose: Theiler window one period, fit from half a period to one and a half."""
    flow = period >= 6
    settings = {"emb_dim": 5 if flow else 3, "lag": lag, "min_tsep": int(np.ceil(period))}
    length = max(6, int(1.5 * period))
    return float(NOLDS.lyap_r(x, **settings, trajectory_len=length, fit_offset=int(period / 2) if flow else 0))


def neurokit_default(x: Any, period: float, lag: int) -> float:
    return float(neurokit2.complexity_lyapunov(x)[0])


def neurokit_tuned(x: Any, period: float, lag: int) -> float:
    settings = {"dimension": 5 if period >= 6 else 3, "delay": lag, "separation": int(np.ceil(period))}
    return float(neurokit2.complexity_lyapunov(x, **settings, len_trajectory=max(6, int(1.5 * period)))[0])


PEERS: dict[str, Callable[[Any, float, int], float]] = {
    "nolds lyap_r": nolds_default,
    "nolds lyap_r, tuned": nolds_tuned,
    "neurokit2": neurokit_default,
    "neurokit2, tuned": neurokit_tuned,
}


def attempt(estimate: Callable[[Any, float, int], float], x: Any, period: float, lag: int) -> dict[str, Any]:
    """A value, or the reason why there is none, which is shown and counts as wrong."""
    try:
        value = estimate(x, period, lag)
    except Exception as error:
        return {"value": None, "reason": repr(error)[:200]}
    return {"value": value} if np.isfinite(value) else {"value": None, "reason": f"the answer is {value}"}


def main(series: Path, answers: Path, peers: list[str]) -> None:
    warnings.simplefilter("ignore")
    held = np.load(series)
    found: dict[str, dict[str, Any]] = {}
    for name in held.files:
        if "/" in name:
            continue
        period, lag = held[f"{name}/period_and_lag"]
        found[name] = {}
        for peer in peers or PEERS:
            estimate = PEERS[peer]
            began = time.perf_counter()
            found[name][peer] = attempt(estimate, held[name], float(period), int(lag))
            found[name][peer]["seconds"] = time.perf_counter() - began
    answers.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
