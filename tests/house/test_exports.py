import importlib

import pytest

import chaos_core
from tests.house.tree import ROOT, sources


def test_the_public_table_is_complete_and_works() -> None:
    assert [name for name in chaos_core.__all__ if getattr(chaos_core, name, None) is None] == []


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        chaos_core.nonsense  # noqa: B018


@pytest.mark.parametrize("path", sources("chaos_core"), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_core_module_exports_is_there(path) -> None:
    if path.stem == "__main__":
        return
    if path.stem == "gpu_programs":
        pytest.importorskip("triton", reason="Triton comes with the extra [gpu]")
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    assert [name for name in getattr(module, "__all__", []) if not hasattr(module, name)] == []


def test_no_test_replaces_own_code_by_a_mock() -> None:
    banned = ("mock." + "patch", "Magic" + "Mock", "unittest" + ".mock")
    guilty = [path.name for path in (ROOT / "tests").rglob("*.py") for word in banned if word in path.read_text()]
    assert guilty == []


def test_no_module_hides_a_public_function_of_its_name() -> None:
    for name in chaos_core.__all__:
        assert not (ROOT / "chaos_core" / f"{name}.py").exists(), name
