"""python -m tests.gpu.compiled ARCHITECTURE LATENT HIDDEN: compiles a cell's programs for a GPU that need not be there.

Prints the bytes of shared memory that each wants, as JSON. A process of its own, since Triton is either the
interpreter or the compiler for as long as a process lives.
"""

import json
import sys
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from chaos_core.kernels import gpu_programs
from chaos_core.kernels.gpu_scan import ROWS, Tiles

INTEGERS = {"steps": "i32", "lanes": "i32", "rows": "i32", "share": "i32", "edges": "*i32"}
THREADS_OF_A_WARP = 32


def shared_memory(program: Any, architecture: int, latent: int, hidden: int) -> int:
    """Of one program for a driven, clipped cell with smooth units, the costliest, in float32."""
    tiles = Tiles.of(latent, hidden)
    settings = {"M": latent, "L": hidden, "CLIPPED": True, "SQUARE": 0.01, "DRIVEN": True, "ROWS": ROWS}
    settings |= {"LANES": tiles.lanes, "WIDTH": tiles.width, "HIDDEN": tiles.hidden, "SUMS": tiles.sums}
    fixed = {name: value for name, value in settings.items() if name in program.arg_names}
    types = {name: "constexpr" if name in fixed else INTEGERS.get(name, "*fp32") for name in program.arg_names}
    warps = tiles.summing_warps if program is gpu_programs.weight_gradients else tiles.warps
    target = GPUTarget("cuda", architecture, THREADS_OF_A_WARP)
    made = triton.compile(ASTSource(program, types, fixed), target=target, options={"num_warps": warps})
    return int(made.metadata.shared)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    found = {name: shared_memory(getattr(gpu_programs, name), *numbers) for name in gpu_programs.__all__}
    sys.stdout.write(json.dumps(found))
