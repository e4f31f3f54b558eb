"""What a worker runs on: processor, memory, kernels, GPUs, versions. Asked without torch, and without CUDA itself."""

import os
import platform
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from chaos_core import native
from chaos_core.code_version import code_version
from chaos_core.engine import has_cuda_driver

CPU_FACTS = Path("/proc/cpuinfo")
MODEL = "model name"
HIDDEN_GPUS = ("", "-1", "none", "void")


def machine() -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "cpu": _cpu_model(),
        "cores": cores,
        "memory_bytes": psutil.virtual_memory().total,
        "kernels": native.status().level,
        "gpus": _gpus(),
    }


def versions() -> dict[str, str]:
    return {**code_version(), "python": platform.python_version()}


def _cpu_model() -> str:
    with suppress(OSError):
        for line in CPU_FACTS.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == MODEL:
                return value.strip()
    return platform.processor() or platform.machine()


def _gpus() -> list[dict[str, Any]]:
    """By name where nvidia-ml-py is installed; else one without, where the driver is there."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip().lower() in HIDDEN_GPUS:
        return []
    try:
        nvml = import_module("pynvml")
    except ImportError:
        return [{"name": None, "memory_bytes": None}] if has_cuda_driver() else []
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return []
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in _visible(nvml.nvmlDeviceGetCount(), visible)]
        return [
            {"name": _text(nvml.nvmlDeviceGetName(handle)), "memory_bytes": nvml.nvmlDeviceGetMemoryInfo(handle).total}
            for handle in handles
        ]
    except nvml.NVMLError:
        return []
    finally:
        nvml.nvmlShutdown()


def _visible(count: int, asked: str | None) -> list[int]:
    """Those that CUDA_VISIBLE_DEVICES leaves to this process, where it names them by number."""
    words = [] if asked is None else [word.strip() for word in asked.split(",")]
    if not words or not all(word.isdecimal() for word in words):
        return list(range(count))
    return [int(word) for word in words if int(word) < count]


def _text(name: str | bytes) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else name
