"""Which code made a trained model: the release, and a digest of the sources for all that lies between releases."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["code_version"]

PACKAGE = Path(__file__).parent
SUFFIXES = (".py", ".cpp", ".hpp")


@cache
def code_version() -> dict[str, str]:
    """`release` of the installed package ("unknown" where it is not installed) and `core_sha256`.

    The digest runs over names and contents of the sources of this package, native ones too, with line ends as on
    Linux: equal digests mean the same science code, wherever it was checked out.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in PACKAGE.rglob("*") if path.suffix in SUFFIXES):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0")
        digest.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    try:
        release = version("chaos-service")
    except PackageNotFoundError:
        release = "unknown"
    return {"release": release, "core_sha256": digest.hexdigest()}
