import ast
import inspect
from pathlib import Path

import pytest

import chaos_core
from chaos_core import metrics
from tests.house.tree import ROOT, name, parsed, sources

FAMILIES = ("cells", "forcing", "losses", "lyapunov", "metrics", "baselines", "systems")
NO_SOURCE_NEEDED = {"__init__", "base", "score", "presets", "mse", "rollout", "recording"}


def _public(tree: ast.Module) -> list[ast.FunctionDef | ast.ClassDef]:
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return [node for node in found if not node.name.startswith("_")]


def test_every_core_module_says_what_it_is_for() -> None:
    silent = [name(path) for path in sources("chaos_core") if not ast.get_docstring(parsed(path))]
    assert silent == []


def test_every_public_name_of_the_core_has_a_docstring() -> None:
    silent = [
        f"{name(path)}:{node.lineno} {node.name}"
        for path in sources("chaos_core")
        for node in _public(parsed(path))
        if not ast.get_docstring(node)
    ]
    assert silent == []


@pytest.mark.parametrize("family", FAMILIES)
def test_every_member_of_a_scientific_family_names_its_source(family: str) -> None:
    files = [path for path in (ROOT / "chaos_core" / family).glob("*.py") if path.stem not in NO_SOURCE_NEEDED]
    assert files
    assert [name(path) for path in files if "Source" not in path.read_text()] == []


PUBLIC = [
    *((public, getattr(chaos_core, public)) for public in ("analyse", "plan", "fit", "evaluate", "generate")),
    *((public, getattr(metrics, public)) for public in ("d_stsp", "d_h", "prediction_error")),
]


@pytest.mark.parametrize(("public", "function"), PUBLIC, ids=[public for public, _ in PUBLIC])
def test_public_functions_document_arguments_results_and_errors(public: str, function: object) -> None:
    text = inspect.getdoc(function) or ""
    assert [section for section in ("Args:", "Returns:", "Raises:") if section not in text] == []
    signature = inspect.signature(function)
    assert [argument for argument in signature.parameters if argument not in text] == []


def test_the_core_is_documented_densely_and_services_sparsely() -> None:
    assert _documented_share("chaos_core") >= 0.15
    for package in ("api", "worker", "chaos_store", "chaos_client"):
        assert _documented_share(package) < 0.10, package


def _documented_share(package: str) -> float:
    documented = total = 0
    for path in sources(package):
        total += sum(bool(line.strip()) for line in path.read_text().splitlines())
        documented += _docstring_lines(path)
    return documented / total


def _docstring_lines(path: Path) -> int:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    nodes = [node for node in ast.walk(parsed(path)) if isinstance(node, kinds)]
    return sum(len((ast.get_docstring(node) or "").splitlines()) for node in nodes)
