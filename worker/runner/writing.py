"""Files that another process reads."""

from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """All of the file or nothing: its reader may come at any moment."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(content)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    part.rename(path)
