"""Compiled loops: plain C++17 behind a C interface, each with a slower twin in numpy or torch that it must equal.

Reading order: vector.hpp, product.hpp, outer.hpp, window.hpp, step.hpp, plrnn.hpp; then step.py and loader.py.
Free runs and their exponents: tile.hpp, map.hpp, map_piecewise.hpp, orbit.cpp, frame.hpp, spectrum.cpp; then map.py.
docs/kernels.md tells how to add one. Nothing here knows cells, torch or pydantic.
"""

from chaos_core.native.equations import Equations
from chaos_core.native.loader import Library, library, status, use
from chaos_core.native.orbit import has_orbit, orbit
from chaos_core.native.spectrum import walk
from chaos_core.native.status import KernelStatus
from chaos_core.native.step import has_step

__all__ = ["Equations", "KernelStatus", "Library", "has_orbit", "has_step", "library", "orbit", "status", "use", "walk"]
