"""Opens the compiled library that suits this CPU and was built from the sources beside it.

hatch_build.py builds one library per CPU level. The best one is taken that the CPU can run, that loads, and whose
fingerprint equals that of the C++ files; otherwise there is none, `status()` tells the reason, and the callers use
their slower twins.
"""

import ctypes
import functools
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chaos_core.native.stamp import library_name, source_stamp
from chaos_core.native.status import KernelStatus

__all__ = ["FOLDER", "Library", "cpu_levels", "library", "open_library", "status", "use"]

FOLDER = Path(__file__).parent
REMEDY = "Build it with `python hatch_build.py` in a checkout, or install the package again."


@dataclass(frozen=True)
class Library:
    """A library that may be called.

    Args:
        level: its CPU level, see KernelStatus.
        handle: what the operating system loaded.
    """

    level: str
    handle: ctypes.CDLL

    def has(self, name: str) -> bool:
        """Whether it exports such a function."""
        return hasattr(self.handle, name)

    def function(self, name: str, arguments: type[ctypes.Structure], size: str) -> Callable[[Any], int]:
        """A function that takes one structure by address and returns an int64.

        Args:
            name: its name in the library.
            arguments: our mirror of the C++ structure.
            size: name of the function that tells the size of the C++ structure, compared with ours: a field added on
                one side only would otherwise be read as garbage.

        Raises:
            ValueError: there is no such function.
            TypeError: the two sizes differ.
        """
        if not self.has(name):
            raise ValueError(f"the native library has no function {name}")
        if self.handle[size]() != ctypes.sizeof(arguments):
            raise TypeError(f"{arguments.__qualname__} has not the fields that {name} expects")
        function = self.handle[name]
        function.restype = ctypes.c_int64
        return function


def cpu_levels() -> tuple[str, ...]:
    """The levels that this CPU can run, best first.

    Returns:
        Some of "v4", "v3", "v2" on x86-64, ("neon",) on 64-bit ARM, () elsewhere. What the CPU has is asked of numpy:
        its public report names the psABI levels or, in older releases, the instruction sets.
    """
    machine = platform.machine().lower()
    if machine in ("arm64", "aarch64"):
        return ("neon",)
    if machine not in ("x86_64", "amd64"):
        return ()
    report = np.show_config(mode="dicts")
    simd = report["SIMD Extensions"] if report else {"baseline": [], "found": []}
    have = {*simd["baseline"], *simd["found"]}
    v4 = bool(have & {"X86_V4", "AVX512_SKX"})
    v3 = v4 or "X86_V3" in have or {"AVX2", "FMA3"} <= have
    return (*["v4"] * v4, *["v3"] * v3, "v2")


def open_library(folder: Path, levels: Sequence[str]) -> tuple[Library | None, KernelStatus]:
    """The first library of `levels` in `folder` that loads and is not stale.

    Args:
        folder: holds the libraries and the C++ files that they must have been built from.
        levels: their names, best first.

    Returns:
        The library and its status, or None and a status with the reason for each level.
    """
    stamp = source_stamp(folder)
    refused = []
    for level in levels:
        handle = _load(folder / library_name(level), stamp)
        if isinstance(handle, ctypes.CDLL):
            return Library(level, handle), KernelStatus(level, f"Native kernels at CPU level {level}.")
        refused.append(handle)
    why = "; ".join(refused) or f"no CPU level is known for {platform.machine()}"
    return None, KernelStatus(None, f"No native kernels, slower paths are used: {why}. {REMEDY}")


def _load(path: Path, stamp: int) -> ctypes.CDLL | str:
    """The library, or why not."""
    if not path.exists():
        return f"{path.name} was not built"
    try:
        handle = ctypes.CDLL(str(path))
        handle.chaos_stamp.restype = ctypes.c_uint32
        if handle.chaos_stamp() != stamp:
            return f"{path.name} is stale, built from other sources"
    except (OSError, AttributeError) as error:
        return f"{path.name} does not load ({error})"
    return handle


@functools.cache
def _opened(levels: tuple[str, ...] | None) -> tuple[Library | None, KernelStatus]:
    if levels == ():
        return None, KernelStatus(None, "No native kernels, slower paths are used: this process chose none.")
    return open_library(FOLDER, cpu_levels() if levels is None else levels)


_chosen: tuple[str, ...] | None = None


def use(levels: Sequence[str] | None) -> KernelStatus:
    """Chooses among the libraries from now on, in this process alone; what was made before keeps its own.

    Args:
        levels: names of CPU levels, of which the first is taken that loads; none for no native code; None for the best
            that this CPU can run, as at the start.

    Returns:
        What is active now.
    """
    global _chosen
    _chosen = None if levels is None else tuple(levels)
    return status()


def library() -> Library | None:
    """The library of this process, opened on the first call, or None where none can be used."""
    return _opened(_chosen)[0]


def status() -> KernelStatus:
    """Which level is active, or why none is; for logs, `doctor` and tests, since pip hides what the build hook says."""
    return _opened(_chosen)[1]
