"""Files to Series. `read(path, format, options)` is the way in; `python -m chaos_core.readers FOLDER` does it in a
process of its own with limits on memory and time.

Importing this package loads nothing: the limits must stand before the parsing libraries start.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaos_core.readers.options import ReadOptions as ReadOptions
    from chaos_core.readers.reading import Reading as Reading
    from chaos_core.readers.reading import read as read
    from chaos_core.readers.reading import read_file as read_file

_HOMES = {"ReadOptions": "options", "Reading": "reading", "read": "reading", "read_file": "reading"}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'chaos_core.readers' has no attribute '{name}'")
    return getattr(import_module(f"chaos_core.readers.{home}"), name)
