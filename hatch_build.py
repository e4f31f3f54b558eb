"""Compiles chaos_core/native with the zig compiler of the `ziglang` wheel: a build hook, and a program for rebuilding.

pip runs the hook for wheels and editable installs; after an edit of the C++ sources `python hatch_build.py [LEVEL ...]`
does so by hand.
No system compiler, network or home folder is needed. Where zig is not to be had nothing is built, the package stays
pure Python and uses its slower paths; `chaos_core.native.status()` tells which. CHAOS_NO_KERNELS=1 leaves the kernels
out on purpose.
"""

import importlib.util
import os
import platform
import runpy
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
NATIVE = Path("chaos_core", "native")
# No -ffast-math: the compiler would assume that NaN and inf do not occur, and they are how a diverged run is noticed.
OPTIMISE = ("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fno-exceptions", "-fno-rtti")
LINK = ("-shared", "-fvisibility=hidden", "-g0", "-s")
# AVX-512 with full vectors: the target's own default prefers 256 bits.
X86 = {"v2": "x86_64_v2", "v3": "x86_64_v3", "v4": "x86_64_v4-prefer_256_bit"}
TIMEOUT_S = 600
WHEEL_FOLDER = "chaos-kernels-"


@dataclass(frozen=True)
class Target:
    """What is built for one platform: zig's name of it, the wheel's, and the CPU levels with zig's names."""

    triple: str
    wheel: str
    levels: dict[str, str]


TARGETS = {
    ("linux", "x86_64"): Target("x86_64-linux-gnu.2.17", "manylinux_2_17_x86_64", X86),
    ("linux", "aarch64"): Target("aarch64-linux-gnu.2.17", "manylinux_2_17_aarch64", {"neon": "generic"}),
    ("darwin", "x86_64"): Target("x86_64-macos.11.0", "macosx_11_0_x86_64", X86),
    ("darwin", "arm64"): Target("aarch64-macos.11.0", "macosx_11_0_arm64", {"neon": "apple_m1"}),
    ("win32", "amd64"): Target("x86_64-windows-gnu", "win_amd64", X86),
}


class NotBuilt(Exception):
    """The kernels cannot be compiled here; the message tells why."""


def this_target() -> Target:
    """The target of this machine; musl instead of glibc where the C library is not glibc."""
    machine = platform.machine().lower()
    target = TARGETS.get((sys.platform, machine))
    if target is None:
        raise NotBuilt(f"no target for {sys.platform} on {machine}")
    if sys.platform == "linux" and platform.libc_ver()[0] != "glibc":
        return Target(f"{machine}-linux-musl", f"musllinux_1_1_{machine}", target.levels)
    return target


def compile_level(level: str, target: Target, native: Path, folder: Path, cache: str) -> Path:
    """Compiles the library of one CPU level into `folder`; a half-written file never carries the final name."""
    stamp = runpy.run_path(str(native / "stamp.py"))
    library = folder / str(stamp["library_name"](level))
    part = library.with_name(f"{library.name}.{os.getpid()}.part")
    # `cc`, not `c++`: the latter first compiles the C++ standard library, which the sources do not use.
    command = [sys.executable, "-m", "ziglang", "cc", "-target", target.triple, f"-mcpu={target.levels[level]}"]
    command += [*OPTIMISE, *LINK, *([] if sys.platform == "win32" else ["-fPIC"])]
    command += [f"-DCHAOS_STAMP={stamp['source_stamp'](native)}u", "-o", str(part)]
    command += map(str, sorted(native.glob("*.cpp")))
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        part.unlink(missing_ok=True)
        raise NotBuilt(f"the compiler failed for level {level}: {done.stderr.strip()}")
    return part.replace(library)


def compile_all(native: Path, folder: Path, levels: list[str] | None = None) -> list[Path]:
    """Compiles the libraries of this machine's target (or those of `levels`) into `folder`."""
    if importlib.util.find_spec("ziglang") is None:
        raise NotBuilt("the package ziglang is not installed")
    target = this_target()
    # A cache of its own: the home folder may be read-only.
    with tempfile.TemporaryDirectory(prefix="chaos-zig-") as cache, ThreadPoolExecutor(os.cpu_count()) as pool:
        names = levels or target.levels
        jobs = [pool.submit(compile_level, level, target, native, folder, cache) for level in names]
        try:
            return [job.result() for job in jobs]
        except (OSError, subprocess.SubprocessError) as error:
            raise NotBuilt(str(error)) from error


class KernelHook(BuildHookInterface[Any]):
    """Puts the libraries into the source tree (editable install) or the wheel, which then carries a platform tag."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if os.environ.get("CHAOS_NO_KERNELS") or self.target_name != "wheel":
            return
        native = Path(self.root) / NATIVE
        folder = native if version == "editable" else Path(tempfile.mkdtemp(prefix=WHEEL_FOLDER))
        try:
            libraries = compile_all(native, folder)
            tag = this_target().wheel
        except NotBuilt as error:
            self.app.display_warning(f"Native kernels were NOT built, slower paths will be used: {error}")
            _remove(folder)
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{tag}"
        if version != "editable":
            build_data["force_include"].update({str(path): (NATIVE / path.name).as_posix() for path in libraries})

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Removes what was compiled for the wheel, once it is inside."""
        del version, artifact_path
        for folder in {Path(path).parent for path in build_data["force_include"]}:
            _remove(folder)


def _remove(folder: Path) -> None:
    if folder.name.startswith(WHEEL_FOLDER):
        shutil.rmtree(folder)


def main() -> int:
    """Rebuilds the libraries in the source tree."""
    try:
        for path in compile_all(ROOT / NATIVE, ROOT / NATIVE, sys.argv[1:] or None):
            sys.stdout.write(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1024} KiB\n")
    except NotBuilt as error:
        sys.stderr.write(f"Native kernels were NOT built: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
