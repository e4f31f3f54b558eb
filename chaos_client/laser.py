"""The Santa Fe laser series, read from the installed reservoirpy package without importing it."""

from importlib.util import find_spec
from pathlib import Path

from chaos_client.failures import ServeError


def laser_file() -> Path:
    found = find_spec("reservoirpy")
    if found is None or found.origin is None:
        raise ServeError(
            "the demo's recording comes with the package reservoirpy, which is not installed: run ./scripts/setup"
        )
    return Path(found.origin).parent / "datasets" / "santafe_laser.npy"
