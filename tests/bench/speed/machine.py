"""On what the figures were taken, and how busy it was."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np
import torch

from chaos_core.native import status
from tests.bench.speed.timing import Json

__all__ = ["facts", "load"]


def facts() -> Json:
    """CPU, level of the kernels, versions."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "kernels": status().level,
        "kernels_reason": status().reason,
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def load() -> float:
    """Processes that wanted a core in the last minute, on average."""
    return os.getloadavg()[0]


def _cpu() -> str:
    known = Path("/proc/cpuinfo")
    text = known.read_text().splitlines() if known.exists() else []
    models = [line.partition(":")[2].strip() for line in text if line.startswith("model name")]
    return models[0] if models else platform.processor()
