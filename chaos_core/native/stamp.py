"""The fingerprint of the native sources, written into each library by hatch_build.py and compared by loader.py.

Editable installs do not rebuild edited sources; without the fingerprint an old library would go on running unseen.
Standard library only: the build hook runs this file where numpy is not installed.
"""

import sys
import zlib
from pathlib import Path

LIBRARY_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


def sources(folder: Path) -> list[Path]:
    """All C++ files of `folder`, in a fixed order."""
    return sorted([*folder.glob("*.cpp"), *folder.glob("*.hpp")], key=lambda path: path.name)


def source_stamp(folder: Path) -> int:
    """crc32 over names and contents of the C++ files (line ends as in the checkout on Linux)."""
    stamp = 0
    for path in sources(folder):
        stamp = zlib.crc32(path.name.encode(), stamp)
        stamp = zlib.crc32(path.read_bytes().replace(b"\r\n", b"\n"), stamp)
    return stamp


def library_name(level: str) -> str:
    """File name of the library for one CPU level, for example `_chaos_v3.so`."""
    return f"_chaos_{level}{LIBRARY_SUFFIX}"
