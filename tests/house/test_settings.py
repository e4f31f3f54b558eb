from chaos_store.settings import Settings, readme_table
from tests.house.tree import ROOT


def test_every_setting_is_in_the_readme_table() -> None:
    table = readme_table()
    assert [name for name in Settings.model_fields if f"`CHAOS_{name.upper()}`" not in table] == []
    assert table in (ROOT / "README.md").read_text(), "run ./scripts/docs"


def test_every_script_is_executable_and_short() -> None:
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file()]
    assert [path.name for path in scripts if not path.stat().st_mode & 0o100] == []
    assert [path.name for path in scripts if path.name != "setup" and len(path.read_text().splitlines()) > 20] == []


def test_the_lock_pins_torch_without_a_local_build_label() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert "torch==2.13.0" in lines
    assert [line for line in lines if line and not line.startswith("#") and ("==" not in line or "+" in line)] == []
