"""Damages good files of every format and reads them: an answer or an error of ours is right, all else is a crash.

`./scripts/fuzz [--seconds 600] [--inputs 200000] [--only hdf5] [--seed 0]`. One process reads thousands of inputs;
if that dies, the death is counted, its input kept in .fuzz, and another one goes on. A read of ten seconds is a hang.
"""

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from chaos_core.errors import ChaosError
from chaos_core.readers import ReadOptions, read_file
from chaos_core.readers.formats import formats
from chaos_core.series import Series
from tests.core import files

BATCH = 4000
HANG_S = 10
MEMORY_BYTES = 1024**3
BITS = [
    b"\0", b"\xff", b"\0" * 4, b"\xff" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\0\0\0\x80", b"\x01", b"\x7f", b"\x80",
    b'"', b",", b"\n", b"\r", b"[", b"{", b"}", b"]", b"\\", b"nan", b"-", b"1e999", b"99999999999999999999", b"\t;",
]  # fmt: skip
OPTIONS: list[dict[str, Any]] = [
    {}, {}, {}, {"missing": "mask"}, {"dataset": ("x",)}, {"columns": ("0",)}, {"columns": ("1",), "time_column": "0"},
    {"arrays": "stretches"}, {"stretch_column": 0}, {"inputs": ("1",)}, {"header": True}, {"decimal": "comma"},
]  # fmt: skip


def damaged(rng: random.Random, whole: bytes, other: bytes) -> bytes:
    """The file after a few changes: bytes replaced, taken out, doubled, cut off, or spliced with another file."""
    content = bytearray(whole)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        place, kind = rng.randrange(len(content) or 1), rng.random()
        if kind < 0.35:
            bits = rng.choice(BITS)
            content[place : place + len(bits)] = bits
        elif kind < 0.6:
            content[place : place + 1] = bytes([rng.randrange(256)])
        elif kind < 0.7:
            content[place:place] = rng.choice(BITS)
        elif kind < 0.8:
            del content[place : place + rng.randrange(1, 40)]
        elif kind < 0.88:
            content[place:place] = content[place : place + rng.randrange(1, 200)]
        elif kind < 0.94:
            del content[place:]
        else:
            start = rng.randrange(len(other))
            content[place:] = other[start:]
    return bytes(content)


def attempt(path: Path, words: dict[str, Any], kind: str) -> str:
    """How one read ended: "read", "refused CODE", "memory", or "crash" with what was raised."""
    try:
        reading = read_file(path, kind, ReadOptions(**words))
        json.dumps(reading.facts(), allow_nan=False).encode()
        reading.series.to_npz()
        return "read"
    except ChaosError as error:
        json.dumps(error.problem(), allow_nan=False, ensure_ascii=False).encode()
        return f"refused {error.code}"
    except MemoryError:
        return "memory"


def worker(seed: int, count: int, only: str, folder: Path) -> None:
    """Reads damaged files and says of each, one line, how it ended."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    tempfile.tempdir = str(folder)
    rng, groups = random.Random(seed), grouped(only)
    attempt(files.put(folder, "input", files.csv()), {}, "auto")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
    for _ in range(count):
        seeds = rng.choice(groups)
        (name, whole), (_, other) = rng.choice(seeds), rng.choice(seeds)
        words = {**rng.choice(OPTIONS), "name": rng.choice((name, name, name, "upload"))}
        kind = "auto" if rng.random() < 0.9 else rng.choice(list(formats()))
        path = files.put(folder, "input", damaged(rng, whole, other))
        (folder / "words.json").write_text(json.dumps({"kind": kind, **words}))
        signal.alarm(HANG_S)
        try:
            result = attempt(path, words, kind)
        except BaseException as error:
            result = f"crash {type(error).__name__}: {error!s:.100}".replace("\n", " ")
            keep(folder, f"{seed}-{type(error).__name__}")
        signal.alarm(0)
        sys.stdout.write(f"{result}\n")
        sys.stdout.flush()
    sys.stdout.write(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}\n")


def grouped(only: str) -> list[list[tuple[str, bytes]]]:
    """The good files by format; plain ones and compressed ones are chosen equally often."""
    groups: dict[str, list[tuple[str, bytes]]] = {}
    for titles in (files.WHOLE, files.PACKED):
        for title, whole in titles.items():
            if only in title:
                groups.setdefault("packed" if titles is files.PACKED else title.split()[0], []).append(whole)
    if not only:
        groups["stored"] = [("a.npz", Series(files.X, 0.02, inputs=files.X[:, 0]).to_npz())]
    return list(groups.values())


def keep(folder: Path, title: str) -> None:
    """Copies the input and its options to where they can be looked at."""
    kept = Path(".fuzz")
    kept.mkdir(exist_ok=True)
    for name in ("input", "words.json"):
        (kept / f"{title}.{name}").write_bytes((folder / name).read_bytes())


def run(seed: int, count: int, only: str, found: Counter[str]) -> int:
    """One process of reads; gives the peak of its memory in MiB, 0 where it died."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        words = ["--worker", name, "--seed", str(seed), "--inputs", str(count), "--only", only]
        command = [sys.executable, "-m", "tests.fuzz.readers", *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        peak = int(lines.pop().split()[1]) if lines and lines[-1].startswith("peak") else 0
        found.update(lines)
        if done.returncode:
            hung = done.returncode == -signal.SIGALRM
            found["hang" if hung else f"crash process ended with {done.returncode}"] += 1
            keep(Path(name), f"{seed}-ended{done.returncode}")
    return peak


def main() -> int:
    """Prints counts; the exit status is 1 where anything crashed or hung."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", type=Path)
    asked = parser.parse_args()
    if asked.worker is not None:
        worker(asked.seed, asked.inputs, asked.only, asked.worker)
        return 0
    found: Counter[str] = Counter()
    peak, seed, started = 0, asked.seed, time.monotonic()
    while time.monotonic() - started < asked.seconds and sum(found.values()) < asked.inputs:
        seed += 1
        peak = max(peak, run(seed, min(BATCH, asked.inputs), asked.only, found))
    show(found, peak, time.monotonic() - started)
    return int(any(result.startswith(("crash", "hang")) for result in found))


def show(found: Counter[str], peak: int, took: float) -> None:
    """The counts, the most frequent first."""
    crashes = sum(count for result, count in found.items() if result.startswith("crash"))
    for result, count in found.most_common():
        sys.stdout.write(f"{count:8}  {result}\n")
    sys.stdout.write(
        f"{sum(found.values())} inputs in {took:.0f} s: {crashes} crashes, {found['hang']} hangs, "
        f"{found['memory']} out of memory, peak {peak} MiB\n"
    )


if __name__ == "__main__":
    sys.exit(main())
