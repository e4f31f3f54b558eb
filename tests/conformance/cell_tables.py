"""The tables of docs/cells.md, made from the registries, the suites and the rows of the peers.

`python -m tests.conformance.cell_tables` writes them anew, deviations measured; a test says when that is needed.
"""

import ast
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from chaos_core.baselines import BASELINES
from chaos_core.cells import CELLS, Cell
from chaos_core.forcing import FORCINGS
from chaos_core.kernels import Kernel
from chaos_core.losses import LOSSES
from chaos_core.metrics import METRICS
from chaos_core.native.loader import FOLDER
from chaos_core.native.stamp import sources
from chaos_core.observation import OBSERVATIONS
from chaos_core.systems import SYSTEMS
from tests.conformance.peer_rows import KEPT, REPOSITORIES, Row, rows

PAGE = Path(__file__).parents[2] / "docs" / "cells.md"
TESTS = Path(__file__).parents[1]
SOURCES = "".join(path.read_text() for path in sources(FOLDER))
LEAST = 1e-15
"""Deviations below the rounding of one operation are not told apart."""

SUITES: dict[str, tuple[int, tuple[str, ...]]] = {
    "cells": (len(CELLS), ("conformance/test_cells.py",)),
    "forcings": (len(FORCINGS), ("conformance/test_forcings.py",)),
    "cells under forcings, beside peers": (len(rows()), ("conformance/test_peers.py",)),
    "observations": (len(OBSERVATIONS), ("conformance/test_observation.py",)),
    "losses": (len(LOSSES), ("conformance/test_losses.py",)),
    "metrics": (len(METRICS), ("conformance/test_metrics.py",)),
    "baselines": (len(BASELINES), ("conformance/test_baselines.py",)),
    "systems": (len(SYSTEMS), ("core/test_systems.py", "core/test_system_exponents.py")),
    "kernels": (
        len(Kernel),
        (
            *(f"conformance/test_{name}.py" for name in ("kernels", "native_cells", "native_updates", "scan")),
            "gpu/test_fused_scan.py",
        ),
    ),
}


def table(heads: list[str], lines: list[list[str]]) -> str:
    """A markdown table."""
    rule = "|" + "---|" * len(heads)
    return "\n".join([_line(heads), rule, *map(_line, lines)])


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def settings(kind: type, own: tuple[str, ...]) -> str:
    """The fields beside `own`, with what they are."""
    fields = {name: field for name, field in kind.model_fields.items() if name not in own}
    return " ".join(f"`{name}`: {field.description}" for name, field in fields.items()) or "none"


def bounded(kind: type[Cell]) -> str:
    """Whether an orbit is proven to stay bounded: for any weights, for some, or for none."""
    cell = kind.fill({"latent": 3}, observed=3, embedded=False)
    wide = {name: 2 * np.ones(param.shape) for name, param in cell.parameters().items()}
    if cell.bound(wide) is not None:
        return "yes"
    tame = {name: value / 4 for name, value in wide.items()}
    if cell.bound(tame) is None:
        return "no"
    return "while all |A| < 1" + (", which `bounded` enforces" if "bounded" in kind.model_fields else "")


def native(kind: str) -> str:
    """What of it runs in native code."""
    trains = re.search(rf"CHAOS_CELL\({kind},|chaos_{kind}_step_f32", SOURCES)
    runs = re.search(rf"DO\({kind},|chaos_{kind}_orbit", SOURCES)
    parts = [part for part, there in (("training", trains), ("free run, exponents", runs)) if there]
    return ", ".join(parts) or "no"


def cells_table() -> str:
    """One line for each cell."""
    heads = ["kind", "equation", "settings beside `latent` and `inputs`", "orbits bounded?", "native code", "source"]
    own = ("kind", "latent", "inputs")
    return table(
        heads,
        [
            [f"`{name}`", f"`{kind.equation}`", settings(kind, own), bounded(kind), native(name), kind.citation]
            for name, kind in CELLS.items()
        ],
    )


def first_sentence(kind: type) -> str:
    """Of a docstring."""
    text = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    return text if text.endswith(".") else text + "."


def forcings_table() -> str:
    """One line for each forcing."""
    heads = ["kind", "the mask in words", "settings beside `units`", "source"]
    own = ("kind", "units")
    return table(
        heads,
        [[f"`{name}`", first_sentence(kind), settings(kind, own), kind.citation] for name, kind in FORCINGS.items()],
    )


def peer_line(row: Row, trajectory: str, gradients: str) -> list[str]:
    """One row of the peers with its two numbers."""
    return [row.peer, row.commit[:8], row.cell, row.forcing, row.read_out, trajectory, gradients, row.remark]


def below(deviation: float) -> str:
    """The power of ten that a deviation lies below; "-" where there is none to measure."""
    if math.isnan(deviation):
        return "-"
    return f"1e{math.ceil(math.log10(max(deviation, LEAST)))}"


def peers_table() -> str:
    """One line for each cell and forcing of each peer; measures, which takes seconds."""
    heads = ["peer", "commit", "cell", "forcing", "read-out", "trajectory", "gradients", "remark"]
    measured = [(row, row.measure()) for row in rows()]
    return table(heads, [peer_line(row, below(far.trajectory), below(far.gradients)) for row, far in measured])


def not_run_table() -> str:
    """What of the peers could not be compared."""
    heads = ["peer", "what", "why not"]
    return table(heads, [[REPOSITORIES[one["peer"]], one["what"], one["why"]] for one in KEPT["not_run"]])


def tests_written(files: tuple[str, ...]) -> int:
    """Tests written in these files; most run once for each member."""
    trees = [ast.parse((TESTS / file).read_text()) for file in files]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return sum(node.name.startswith("test_") for node in functions)


def suites_table() -> str:
    """One line for each registry."""
    heads = ["registry", "members", "tests written", "in"]
    return table(
        heads,
        [
            [name, str(members), str(tests_written(files)), ", ".join(f"`tests/{file}`" for file in files)]
            for name, (members, files) in SUITES.items()
        ],
    )


TABLES: dict[str, Callable[[], str]] = {
    "cells": cells_table,
    "forcings": forcings_table,
    "peers": peers_table,
    "not run": not_run_table,
    "suites": suites_table,
}


def on_page(name: str) -> str:
    """The table as it stands in docs/cells.md."""
    return PAGE.read_text().split(f"<!-- {name} -->\n")[1].split("\n<!-- end -->")[0]


def write() -> None:
    """Puts all tables into docs/cells.md."""
    for name, make in TABLES.items():
        before, rest = PAGE.read_text().split(f"<!-- {name} -->\n")
        after = rest.split("<!-- end -->", 1)[1]
        PAGE.write_text(f"{before}<!-- {name} -->\n{make()}\n<!-- end -->{after}")


if __name__ == "__main__":
    write()
