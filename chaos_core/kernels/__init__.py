"""Chooses what computes the recurrence: native > gpu > segments > reference."""

from enum import StrEnum

from chaos_core.forcing.base import Forcing

__all__ = ["Kernel", "choose"]


class Kernel(StrEnum):
    """What runs a training step; the result of a job names it."""

    NATIVE = "native"
    GPU = "gpu"
    SEGMENTS = "segments"
    REFERENCE = "reference"


def choose(
    native_refusal: str | None, forcing: Forcing, *, known: bool = True, gpu_refusal: str | None = "no GPU"
) -> Kernel:
    """The fastest kernel that can do this training.

    Args:
        native_refusal: why the native step cannot be used (`chaos_core.refusal`), None where it can: it does the
            whole update in one call and is 10 to 200 times faster than the reference.
        forcing: its `whole_state` decides whether the window falls apart into segments (5 to 15 times faster).
        known: whether the state can be forced in every row; segments must know all states that they start on, and the
            fused scan all that it is forced to.
        gpu_refusal: why the fused scan cannot be used (`chaos_core.kernels.gpu.refusal`), None where it can.

    Returns:
        The kernel; all give the same numbers to rounding.
    """
    if native_refusal is None:
        return Kernel.NATIVE
    if not (known or forcing.target == "zero"):
        return Kernel.REFERENCE
    if gpu_refusal is None:
        return Kernel.GPU
    return Kernel.SEGMENTS if forcing.whole_state else Kernel.REFERENCE
