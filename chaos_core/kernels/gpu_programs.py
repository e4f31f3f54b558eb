"""Triton programs of the fused scan; `gpu_scan` launches them. Needs the extra `[gpu]`: nothing else imports this.

A state is a tile (LANES, WIDTH): some windows of one job, M units padded to a power of two. The hidden layer is dealt
with in tiles of HIDDEN units; where one tile holds all of them (HELD), its weights are loaded once for the whole walk.
W1' and W2 both lie as (L, M). Padding is zero, and is set to zero again after each product: 0 * inf would be NaN and
reach units that are there.
"""

import triton
import triton.language as tl

__all__ = ["backward", "forward", "weight_gradients"]


@triton.jit
def product(a, b, SUMS: tl.constexpr):
    """(I, K) times (K, N). `tl.dot` wants 16 of each, and padding three units to 16 would be mostly zeros.

    One return at the end of each function here: Triton's compiler goes on behind a return in an `if`, its interpreter
    does not.
    """
    if SUMS:
        c = tl.sum(a[:, :, None] * b[None, :, :], axis=1)
    else:
        c = tl.dot(a, b, input_precision="ieee", out_dtype=a.dtype)
    return c


@triton.jit
def rows_of(w, first, L: tl.constexpr, M: tl.constexpr, HIDDEN: tl.constexpr, WIDTH: tl.constexpr):
    """Rows first ... first + HIDDEN of a matrix (L, M)."""
    unit, m = first + tl.arange(0, HIDDEN), tl.arange(0, WIDTH)
    there = (unit < L)[:, None] & (m < M)[None, :]
    return tl.load(w + unit[:, None] * M + m[None, :], mask=there, other=0.0)


@triton.jit
def thresholds(h2, first, L: tl.constexpr, HIDDEN: tl.constexpr):
    """As `rows_of`, of a vector (L,)."""
    unit = first + tl.arange(0, HIDDEN)
    return tl.load(h2 + unit, mask=unit < L, other=0.0)[None, :]


@triton.jit
def among(x, first, COUNT: tl.constexpr, SIZE: tl.constexpr):
    """x (I, SIZE) with zeros in the columns that are padding."""
    return tl.where((first + tl.arange(0, SIZE) < COUNT)[None, :], x, 0.0)


@triton.jit
def rectified(v):
    """max(0, v); a NaN stays one."""
    return tl.where(v <= 0, 0.0, v)


@triton.jit
def activation(u, h2, CLIPPED: tl.constexpr, SQUARE: tl.constexpr):
    """phi(u + h2), or phi(u + h2) - phi(u); SQUARE is delta^2, and only clipped cells are smooth."""
    v = u + h2
    if SQUARE > 0:
        a = 0.5 * (h2 + tl.sqrt(v * v + SQUARE) - tl.sqrt(u * u + SQUARE))
    elif CLIPPED:
        a = rectified(v) - rectified(u)
    else:
        a = rectified(v)
    return a


@triton.jit
def slopes(u, h2, CLIPPED: tl.constexpr, SQUARE: tl.constexpr):
    """Derivatives of the activation with respect to h2 and to u; at a kink 0, as in torch."""
    v = u + h2
    if SQUARE > 0:
        on = 0.5 + 0.5 * v / tl.sqrt(v * v + SQUARE)
        through = on - (0.5 + 0.5 * u / tl.sqrt(u * u + SQUARE))
    else:
        on = tl.where(v <= 0, 0.0, 1.0).to(u.dtype)
        through = on
        if CLIPPED:
            through = on - tl.where(u <= 0, 0.0, 1.0).to(u.dtype)
    return on, through


@triton.jit
def pushed(z, w1, w2, h2, first, L: tl.constexpr, CLIPPED: tl.constexpr, SQUARE: tl.constexpr, SUMS: tl.constexpr):
    """What one tile of the hidden layer adds to the next state."""
    u = among(product(z, tl.trans(w2), SUMS), first, L, w2.shape[0])
    return product(activation(u, h2, CLIPPED, SQUARE), w1, SUMS)


@triton.jit
def pulled(z, g, w1, w2, h2, first, L: tl.constexpr, CLIPPED: tl.constexpr, SQUARE: tl.constexpr, SUMS: tl.constexpr):
    """What one tile of the hidden layer adds to dloss/dz~."""
    u = among(product(z, tl.trans(w2), SUMS), first, L, w2.shape[0])
    da = among(product(g, tl.trans(w1), SUMS), first, L, w1.shape[0])
    _, through = slopes(u, h2, CLIPPED, SQUARE)
    return product(da * through, w2, SUMS)


@triton.jit
def forward(
    known, alpha, drive, a, w1, w2, h1, h2, edges, states, forced, steps, lanes,
    M: tl.constexpr, L: tl.constexpr, CLIPPED: tl.constexpr, SQUARE: tl.constexpr, DRIVEN: tl.constexpr,
    LANES: tl.constexpr, WIDTH: tl.constexpr, HIDDEN: tl.constexpr, SUMS: tl.constexpr,
):  # fmt: skip
    """Walks one segment of a block of windows of one job: stores z~_t and z_{t+1} for each of its t."""
    job = tl.program_id(2).to(tl.int64)
    lane, m = tl.program_id(0) * LANES + tl.arange(0, LANES), tl.arange(0, WIDTH)
    there = (lane < lanes)[:, None] & (m < M)[None, :]
    place = (job * lanes + lane)[:, None] * steps * M + m[None, :]
    memory = tl.load(a + job * M + m, mask=m < M, other=0.0)[None, :]
    bias = tl.load(h1 + job * M + m, mask=m < M, other=0.0)[None, :]
    w1, w2, h2 = w1 + job * L * M, w2 + job * L * M, h2 + job * L
    HELD: tl.constexpr = HIDDEN >= L
    if HELD:
        all_w1, all_w2 = rows_of(w1, 0, L, M, HIDDEN, WIDTH), rows_of(w2, 0, L, M, HIDDEN, WIDTH)
        all_h2 = thresholds(h2, 0, L, HIDDEN)
    z = tl.zeros((LANES, WIDTH), dtype=memory.dtype)
    for t in range(tl.load(edges + tl.program_id(1)), tl.load(edges + tl.program_id(1) + 1)):
        pull = tl.load(alpha + t * M + m, mask=m < M, other=0.0)[None, :]
        datum = tl.load(known + place + t * M, mask=there & (pull > 0), other=0.0)
        z = tl.where(pull == 1.0, datum, tl.where(pull == 0.0, z, (1.0 - pull) * z + pull * datum))
        tl.store(forced + place + t * M, z, mask=there)
        following = memory * z + bias
        if DRIVEN:
            following += tl.load(drive + place + t * M, mask=there, other=0.0)
        if HELD:
            following += pushed(z, all_w1, all_w2, all_h2, 0, L, CLIPPED, SQUARE, SUMS)
        else:
            for first in range(0, L, HIDDEN):
                w1_rows, w2_rows = rows_of(w1, first, L, M, HIDDEN, WIDTH), rows_of(w2, first, L, M, HIDDEN, WIDTH)
                on_from = thresholds(h2, first, L, HIDDEN)
                following += pushed(z, w1_rows, w2_rows, on_from, first, L, CLIPPED, SQUARE, SUMS)
        z = among(following, 0, M, WIDTH)
        tl.store(states + place + t * M, z, mask=there)


@triton.jit
def backward(
    given, forced, alpha, a, w1, w2, h2, edges, gradient, data_gradient, steps, lanes,
    M: tl.constexpr, L: tl.constexpr, CLIPPED: tl.constexpr, SQUARE: tl.constexpr,
    LANES: tl.constexpr, WIDTH: tl.constexpr, HIDDEN: tl.constexpr, SUMS: tl.constexpr,
):  # fmt: skip
    """Walks the same segment back from dloss/dz as `given`: stores the whole dloss/dz_{t+1} and dloss/dd_t."""
    job = tl.program_id(2).to(tl.int64)
    lane, m = tl.program_id(0) * LANES + tl.arange(0, LANES), tl.arange(0, WIDTH)
    there = (lane < lanes)[:, None] & (m < M)[None, :]
    place = (job * lanes + lane)[:, None] * steps * M + m[None, :]
    memory = tl.load(a + job * M + m, mask=m < M, other=0.0)[None, :]
    w1, w2, h2 = w1 + job * L * M, w2 + job * L * M, h2 + job * L
    HELD: tl.constexpr = HIDDEN >= L
    if HELD:
        all_w1, all_w2 = rows_of(w1, 0, L, M, HIDDEN, WIDTH), rows_of(w2, 0, L, M, HIDDEN, WIDTH)
        all_h2 = thresholds(h2, 0, L, HIDDEN)
    start, stop = tl.load(edges + tl.program_id(1)), tl.load(edges + tl.program_id(1) + 1)
    carried = tl.zeros((LANES, WIDTH), dtype=memory.dtype)
    for back in range(stop - start):
        t = stop - 1 - back
        g = carried + tl.load(given + place + t * M, mask=there, other=0.0)
        tl.store(gradient + place + t * M, g, mask=there)
        z = tl.load(forced + place + t * M, mask=there, other=0.0)
        dz = memory * g
        if HELD:
            dz += pulled(z, g, all_w1, all_w2, all_h2, 0, L, CLIPPED, SQUARE, SUMS)
        else:
            for first in range(0, L, HIDDEN):
                w1_rows, w2_rows = rows_of(w1, first, L, M, HIDDEN, WIDTH), rows_of(w2, first, L, M, HIDDEN, WIDTH)
                on_from = thresholds(h2, first, L, HIDDEN)
                dz += pulled(z, g, w1_rows, w2_rows, on_from, first, L, CLIPPED, SQUARE, SUMS)
        dz = among(dz, 0, M, WIDTH)
        pull = tl.load(alpha + t * M + m, mask=m < M, other=0.0)[None, :]
        tl.store(data_gradient + place + t * M, tl.where(pull == 0.0, 0.0, pull * dz), mask=there)
        carried = tl.where(pull == 1.0, 0.0, (1.0 - pull) * dz)


@triton.jit
def weight_gradients(
    forced, gradient, w1, w2, h2, dw1, dw2, dh2, rows, share,
    M: tl.constexpr, L: tl.constexpr, CLIPPED: tl.constexpr, SQUARE: tl.constexpr,
    ROWS: tl.constexpr, WIDTH: tl.constexpr, HIDDEN: tl.constexpr, SUMS: tl.constexpr,
):  # fmt: skip
    """Sums the gradients of one tile of the hidden layer over a share of the rows (windows x times) of one job."""
    job, part = tl.program_id(2).to(tl.int64), tl.program_id(1)
    first, m = tl.program_id(0) * HIDDEN, tl.arange(0, WIDTH)
    w1_rows = rows_of(w1 + job * L * M, first, L, M, HIDDEN, WIDTH)
    w2_rows = rows_of(w2 + job * L * M, first, L, M, HIDDEN, WIDTH)
    on_from = thresholds(h2 + job * L, first, L, HIDDEN)
    sum_w1, sum_w2 = tl.zeros_like(w1_rows), tl.zeros_like(w2_rows)
    sum_h2 = tl.zeros((HIDDEN,), dtype=w1_rows.dtype)
    for begin in range(part * share, (part + 1) * share, ROWS):
        row = begin + tl.arange(0, ROWS)
        place = (job * rows + row)[:, None] * M + m[None, :]
        there = (row < rows)[:, None] & (m < M)[None, :]
        z = tl.load(forced + place, mask=there, other=0.0)
        g = tl.load(gradient + place, mask=there, other=0.0)
        u = product(z, tl.trans(w2_rows), SUMS)
        da = product(g, tl.trans(w1_rows), SUMS)
        on, through = slopes(u, on_from, CLIPPED, SQUARE)
        sum_w1 += product(tl.trans(activation(u, on_from, CLIPPED, SQUARE)), g, SUMS)
        sum_w2 += product(tl.trans(da * through), z, SUMS)
        sum_h2 += tl.sum(da * on, axis=0)
    unit = first + tl.arange(0, HIDDEN)
    slot = (job * tl.num_programs(1) + part) * L + unit
    there = (unit < L)[:, None] & (m < M)[None, :]
    tl.store(dw1 + slot[:, None] * M + m[None, :], sum_w1, mask=there)
    tl.store(dw2 + slot[:, None] * M + m[None, :], sum_w2, mask=there)
    tl.store(dh2 + slot, sum_h2, mask=unit < L)
