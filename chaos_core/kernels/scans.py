"""What runs the recurrence in torch."""

from chaos_core import scan as reference
from chaos_core.kernels import Kernel, gpu, segments
from chaos_core.kernels.comparison import Scan
from chaos_core.kernels.graphs import GraphedScan

__all__ = ["SCANS", "Scan", "scan_on"]

SCANS: dict[Kernel, Scan] = {Kernel.GPU: gpu.scan, Kernel.SEGMENTS: segments.scan, Kernel.REFERENCE: reference.scan}


def scan_on(device: str, kernel: Kernel) -> Scan:
    """The scan of a kernel; on CUDA the launches of segments are recorded, for one training.

    Args:
        device: "cpu" or "cuda".
        kernel: any but the native one, which is no scan.
    """
    return GraphedScan() if kernel is Kernel.SEGMENTS and device == "cuda" else SCANS[kernel]
