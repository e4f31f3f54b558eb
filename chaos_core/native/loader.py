"""Opens the compiled library that suits this CPU and was built from the sources beside it.

hatch_build.py builds one library per CPU level. The best one that the CPU can run, that loads, and whose fingerprint equals
that of the C++ files is taken; otherwise there is none, `status()` tells the reason, and the callers use their slower twins.
"""

import ctypes
import functools
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chaos_core.native.stamp import library_name, source_stamp
from chaos_core.native.status import KernelStatus

FOLDER = Path(__file__).parent
REMEDY = "Build it with `python hatch_build.py` in a checkout, or install the package again."


@dataclass(frozen=True)
class Library:
    """A library that may be called.

    Args:
        level: its CPU level, see KernelStatus.
        handle: the functions.
    """

    level: str
    handle: ctypes.CDLL


def cpu_levels() -> tuple[str, ...]:
    """The levels that this CPU can run, best first.

    Returns:
        Some of "v4", "v3", "v2" on x86-64, ("neon",) on 64-bit ARM, () elsewhere. What the CPU has is asked of numpy, whose
        public report knows both the names of the psABI levels and, in older releases, those of the instruction sets.
    """
    machine = platform.machine().lower()
    if machine in ("arm64", "aarch64"):
        return ("neon",)
    if machine not in ("x86_64", "amd64"):
        return ()
    report = np.show_config(mode="dicts")
    simd = report["SIMD Extensions"] if report else {}
    have = {*simd["baseline"], *simd["found"]} if simd else set()
    levels = ["v4"] if have & {"X86_V4", "AVX512_SKX"} else []
    if levels or "X86_V3" in have or {"AVX2", "FMA3"} <= have:
        levels.append("v3")
    return (*levels, "v2")


def open_library(folder: Path, levels: Sequence[str]) -> tuple[Library | None, KernelStatus]:
    """The first library of `levels` in `folder` that loads and is not stale.

    Args:
        folder: holds the libraries and the C++ files they must have been built from.
        levels: names, best first.

    Returns:
        The library and its status, or None and the reasons, one for each level.
    """
    stamp = source_stamp(folder)
    refused = []
    for level in levels:
        path = folder / library_name(level)
        if not path.exists():
            refused.append(f"{path.name} was not built")
            continue
        try:
            handle = ctypes.CDLL(str(path))
            handle.chaos_stamp.restype = ctypes.c_uint32
            built_from = handle.chaos_stamp()
        except (OSError, AttributeError) as error:
            refused.append(f"{path.name} does not load ({error})")
            continue
        if built_from == stamp:
            return Library(level, handle), KernelStatus(level, f"Native kernels at CPU level {level}.")
        refused.append(f"{path.name} is stale: built from other sources")
    why = "; ".join(refused) or f"no CPU level is known for {platform.machine()}"
    return None, KernelStatus(None, f"No native kernels, slower paths are used: {why}. {REMEDY}")


@functools.cache
def _opened() -> tuple[Library | None, KernelStatus]:
    return open_library(FOLDER, cpu_levels())


def library() -> Library | None:
    """The library of this process, opened on the first call, or None where none can be used."""
    return _opened()[0]


def status() -> KernelStatus:
    """Which level is active, or why none is: to be shown by the program, the doctor command and the tests."""
    return _opened()[1]
