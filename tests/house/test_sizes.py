import ast
import statistics

import pytest

from tests.house.tree import PACKAGES, ROOT, body_lines, functions, name, parsed, sources

FILE_LINES = 400
FUNCTION_LINES = 60
LINE_LENGTH = 120
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}


def test_no_file_is_longer_than_400_lines() -> None:
    files = [*sources(), *sources("tests")]
    long = {name(path): len(path.read_text().splitlines()) for path in files}
    assert {path: lines for path, lines in long.items() if lines > FILE_LINES} == {}


def test_no_native_source_is_longer_than_400_lines() -> None:
    native = [*(ROOT / "chaos_core" / "native").glob("*.[ch]pp")]
    assert native
    assert [name(path) for path in native if len(path.read_text().splitlines()) > FILE_LINES] == []


def test_no_line_of_native_source_is_longer_than_120_characters() -> None:
    native = [*(ROOT / "chaos_core" / "native").glob("*.[ch]pp")]
    long = [
        f"{name(path)}:{number}"
        for path in native
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if len(line) > LINE_LENGTH
    ]
    assert long == []


def test_no_function_body_is_longer_than_60_lines() -> None:
    long = [
        f"{name(path)}:{function.lineno} {function.name} ({body_lines(function)})"
        for path in sources()
        for function in functions(parsed(path))
        if body_lines(function) > FUNCTION_LINES
    ]
    assert long == []


def test_nine_functions_in_ten_are_at_most_30_lines() -> None:
    lengths = [body_lines(function) for path in sources() for function in functions(parsed(path))]
    assert statistics.quantiles(lengths, n=10)[-1] <= 30


def test_no_file_has_a_vague_name() -> None:
    assert [name(path) for path in sources() if path.stem in VAGUE] == []


@pytest.mark.parametrize("package", ["api", "worker", "chaos_store", "chaos_client"])
def test_service_code_is_nearly_free_of_comments(package: str) -> None:
    lines = [line.strip() for path in sources(package) for line in path.read_text().splitlines() if line.strip()]
    assert sum(line.startswith("#") for line in lines) / len(lines) < 0.02


def test_no_own_import_hides_in_a_function() -> None:
    hidden = [
        f"{name(path)}:{node.lineno}"
        for path in sources()
        for function in functions(parsed(path))
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] in PACKAGES)
    ]
    assert hidden == []
