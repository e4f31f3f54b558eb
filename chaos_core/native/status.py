"""Which native library is active, or why none is: pip hides what the build hook says, so the program must tell."""

from dataclasses import dataclass

__all__ = ["KernelStatus"]


@dataclass(frozen=True)
class KernelStatus:
    """State of the native kernels in this process.

    Args:
        level: CPU level of the active library: "v2" (SSE4.2), "v3" (AVX2), "v4" (AVX-512), "neon"; None without one.
        reason: one sentence: which library runs, or why none does and what to do.
    """

    level: str | None
    reason: str
