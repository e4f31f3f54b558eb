"""A registry is the files of a folder: what a file defines is found, nothing is registered by hand."""

from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from pydantic import BaseModel

__all__ = ["find", "summary_of"]


def find(package: str, path: Iterable[str], base: type) -> dict[str, Any]:
    """Imports each module of a folder and collects the final classes that it defines.

    Args:
        package: the folder's import name, `__name__` of its `__init__`.
        path: its `__path__`.
        base: the abstract class, frozen pydantic settings, that they must extend.

    Returns:
        kind -> class, in the alphabetical order of kinds, so that schemas come out the same everywhere.

    Raises:
        TypeError: two classes claim one kind, or a class has none.
    """
    found: dict[str, type[BaseModel]] = {}
    for module in sorted(info.name for info in iter_modules(path) if info.name != "base"):
        home = f"{package}.{module}"
        for value in vars(import_module(home)).values():
            if not isinstance(value, type) or value.__module__ != home:
                continue
            if not issubclass(value, base) or not issubclass(value, BaseModel):
                continue
            field = value.model_fields.get("kind")
            if field is None or not isinstance(field.default, str):
                raise TypeError(f"{home}.{value.__name__} has no kind")
            if field.default in found:
                raise TypeError(f"two classes claim the kind '{field.default}': {value} and {found[field.default]}")
            found[field.default] = value
    return dict(sorted(found.items()))


def summary_of(settings: type[BaseModel]) -> str:
    """What a member of a registry is, in one line: the first of its docstring."""
    return (settings.__doc__ or "").strip().partition("\n")[0]
