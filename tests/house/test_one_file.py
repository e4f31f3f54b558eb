"""Adding a cell touches one file: everything else finds it."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.house.tree import ROOT

CELL = '''
"""A toy."""
from __future__ import annotations
from typing import Any, ClassVar, Literal, Self
from chaos_core.arrays import shifted
from chaos_core.auto import chosen
from chaos_core.cells.base import Cell
from chaos_core.typing import Map, Param, Params, Tensor


class Toy(Cell, frozen=True):
    """z' = tanh(A z + h)."""

    equation: ClassVar[str] = "z' = tanh(A * z + h)"
    citation: ClassVar[str] = "nobody (2026), doi:10.0/0"
    kind: Literal["toy"] = "toy"

    def weights(self) -> dict[str, Param]:
        return {"A": Param((self.latent,), "uniform", 1.0), "h": Param((self.latent,), "zeros")}

    def bind(self, p: Params) -> Map:
        def step(z: Tensor, s: Tensor | None = None, /) -> Tensor:
            return (p["A"] * z + shifted(p["h"], s)).tanh()

        return step

    def jacobian(self, p: Params, z: Tensor, s: Tensor | None = None) -> Tensor:
        after = self.step(p, z, s)
        return ((1 - after * after) * p["A"]).diag_embed()

    @classmethod
    def fill(cls, partial: dict[str, Any], *, observed: int, embedded: bool) -> Self:
        return cls(**({"latent": observed} | chosen(partial)))
'''

LOOK = """
import json
import numpy as np
from api.app import create_app
from chaos_core.analysis import analyse
from chaos_core.families import FAMILIES
from chaos_core.pipeline import fit
from chaos_core.planning import plan
from chaos_core.errors import Collapsed, Exploded
from chaos_core.spec import Spec
from chaos_core.systems import lorenz63
from chaos_core.embedding import Embedding
from chaos_core.fitted import Fitted
from chaos_core.observation import IdentityObservation
from chaos_core.reader_script import reader_script
from chaos_core.series import Scaling
from chaos_store.settings import Settings
from tests.conformance.cell_tables import cells_table

document = json.dumps(create_app(Settings()).openapi())
assert '"toy": "#/components/schemas/ToySpec"' in document, "the schema of the API"
assert "toy" in FAMILIES["cells"], "the command line"
assert "toy" in cells_table(), "the table of the docs"
toy = FAMILIES["cells"]["toy"](latent=1)
known = {"embedding": Embedding(), "dt": None, "names": ("a",), "latent_start": np.zeros(1)}
params = {"A": np.ones(1), "h": np.zeros(1)}
fitted = Fitted(toy, IdentityObservation(), params, Scaling((0.0,), (1.0,)), **known)
assert 'z_next = np.tanh(p["A"] * z + p["h"])' in reader_script(fitted), "the archive"
series = lorenz63(1000)
small = {"updates": 5, "sequence_length": 10, "validations": 1}
asked = Spec.model_validate({"cell": {"kind": "toy"}, "training": small})
try:
    fit(series, plan(asked, analyse(series)))
except (Collapsed, Exploded):
    pass
print("found everywhere")
"""


def test_a_new_cell_is_found_by_api_command_line_docs_and_training(tmp_path: Path) -> None:
    for package in ("api", "chaos_core", "chaos_store", "chaos_client", "tests", "docs"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "chaos_core" / "cells" / "toy.py").write_text(CELL)
    command = [sys.executable, "-c", LOOK]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.stdout.strip().endswith("found everywhere"), done.stderr


FORMAT = '''
"""Numbers in hexadecimal."""
from pathlib import Path
import numpy as np
from chaos_core.readers.formats import Format
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.table import Selection, Table, choose


def read_hex(path: Path, options: ReadOptions) -> tuple[Table, Selection]:
    x = np.array([[int(line, 16)] for line in path.read_text().splitlines()[1:]], float)
    selection = choose(("x",), options)
    return Table(("x",), selection.positions, x, lambda row, position: {"row": row}), selection


FORMAT = Format("hex", read_hex, (".hex",), ("text/x-hex",), lambda head: head.startswith(b"HEX"))
'''

READ = """
from pathlib import Path
from chaos_core.readers import read_file
Path("a.unheard").write_text("HEX\\n" + "\\n".join(hex(i * i) for i in range(40)))
found = read_file("a.unheard")
assert (found.format, found.series.x[-1, 0]) == ("hex", 39 * 39)
print("found")
"""


def test_a_new_file_format_is_found_by_the_reader(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "chaos_core", tmp_path / "chaos_core", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "chaos_core" / "readers" / "hexadecimal.py").write_text(FORMAT)
    command = [sys.executable, "-c", READ]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.stdout.strip() == "found", done.stderr
