"""The formats, found as the modules of this folder that define one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from chaos_core.readers.options import ReadOptions
from chaos_core.readers.table import Selection, Table

__all__ = ["Format", "formats"]

Read = Callable[[Path, ReadOptions], tuple[Table, Selection]]


@dataclass(frozen=True)
class Format:
    """One way of writing numbers into a file.

    Args:
        kind: its name in requests and records.
        read: reads the wanted columns.
        endings: what file names end with, in lower case.
        content_types: its media types; the first one goes out with downloads.
        recognises: whether the first 4096 bytes are surely of this format; None where bytes tell nothing.
        vague: what `recognises` sees may be chance, so that a `format` that was named goes before it.
    """

    kind: str
    read: Read
    endings: tuple[str, ...]
    content_types: tuple[str, ...]
    recognises: Callable[[bytes], bool] | None = None
    vague: bool = False


@cache
def formats() -> dict[str, Format]:
    """kind -> format, in alphabetical order: each module of this folder that defines FORMAT."""
    home = Path(__file__).parent
    modules = [info.name for info in iter_modules([str(home)]) if not info.name.startswith("_")]
    found: dict[str, Format] = {}
    for name in modules:
        declared = vars(import_module(f"chaos_core.readers.{name}")).get("FORMAT")
        if isinstance(declared, Format):
            found[declared.kind] = declared
    return dict(sorted(found.items()))
