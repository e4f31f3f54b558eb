import re
from collections.abc import Iterator

import api.problems as problems
import chaos_store.errors  # noqa: F401
from chaos_core.errors import ChaosError, RunError, revive
from tests.house.tree import ROOT
from worker import protocol


def _subclasses(root: type[ChaosError]) -> Iterator[type[ChaosError]]:
    yield root
    for child in root.__subclasses__():
        yield from _subclasses(child)


ALL = list(_subclasses(ChaosError))


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [error.code for error in ALL]
    assert len(codes) == len(set(codes))
    assert [code for code in codes if not re.fullmatch(r"[a-z]+(_[a-z]+)*", code)] == []


def test_every_error_says_what_to_do() -> None:
    assert [error.__name__ for error in ALL if len(error.remedy) < 10 or not error.remedy.endswith(".")] == []


def test_every_error_has_a_status() -> None:
    assert [error.__name__ for error in ALL if not 400 <= problems.status_of(error) < 600] == []


def test_every_run_error_has_an_exit_code_of_its_own() -> None:
    kinds = [error for error in ALL if issubclass(error, RunError)]
    codes = [protocol.exit_code(error) for error in kinds]
    assert len(codes) == len(set(codes))


def test_every_error_survives_the_way_through_json() -> None:
    for error in ALL:
        again = revive(error("what happened", row=3).problem())
        assert (type(again), again.fields) == (error, {"row": 3})


def test_every_code_is_documented() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    assert [error.code for error in ALL if f"`{error.code}`" not in page] == []
