"""Compiled loops: plain C++17 behind a C interface, each with a slower twin in numpy or torch that it must equal.

Reading order: vector.hpp, product.hpp, outer.hpp, window.hpp, unit.hpp, shplrnn.hpp, shplrnn.cpp, matching.hpp; then
loader.py. docs/kernels.md tells how to add one.
"""

from chaos_core.native.loader import Library, library, status
from chaos_core.native.orbit import orbit
from chaos_core.native.status import KernelStatus

__all__ = ["KernelStatus", "Library", "library", "orbit", "status"]
