"""Longer orbits of flows that `lyapunov/flows.py` has measured, in its own rows: forty a dominant period.

Runs in .venv-bench, from the root: `python -m tests.bench.interval.orbits FLOWS FOLDER ROWS NAME ...`. The files are
those of `flows.py` with more rows: each orbit goes on from the last row of the measured one, and the exponent is the
same.
"""

import json
import sys
from pathlib import Path

import numpy as np

from tests.bench.lyapunov.flows import ROWS_PER_PERIOD, STEPS_PER_ROW, candidates, compiled, orbit_of


def main(measured: Path, folder: Path, rows: int, names: list[str]) -> None:
    """One file a flow, so that a run that was broken off goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    known = candidates()
    for name in names:
        file = folder / f"{name}.npz"
        if file.exists():
            continue
        with np.load(measured / f"{name}.npz") as held:
            start, facts = held["x"][-1], json.loads(str(held["facts"]))
        if not facts["keep"]:
            raise SystemExit(f"{name}: its exponent was not measured well enough")
        step = known[name]["period"] / ROWS_PER_PERIOD / STEPS_PER_ROW
        field, dimension = compiled(name, known[name]), known[name]["embedding_dimension"]
        x = orbit_of(field, dimension)(start, step, STEPS_PER_ROW, rows + 1)[1:]
        if not np.isfinite(x).all():
            raise SystemExit(f"{name}: the orbit ran away")
        np.savez(file, x=x, facts=json.dumps(facts))
        sys.stdout.write(f"{name}: {rows} rows\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
