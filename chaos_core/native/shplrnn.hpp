// What the training step of the clipped shallow PLRNN and its Jacobian matching share: parameters and buffers.
//
// Flat parameters: A (M) | W1 (M, L) | W2 (L, M) | h1 (M) | h2 (L). Arrays in time are [t][unit][lane], see vector.hpp.
#pragma once
#include "window.hpp"

namespace chaos {

// Up to this many latent units it is cheaper to compute the hidden layer again in the backward run than to load it.
constexpr Index RECOMPUTE_UP_TO = 8;

template <class Real> struct Parameters {
  Real *A, *W1, *W2, *h1, *h2;
  Index count;
  Parameters(Real *flat, const Shape &s) {
    const Index M = s.latent, L = s.hidden;
    A = flat, W1 = A + M, W2 = W1 + M * L, h1 = W2 + L * M, h2 = h1 + M;
    count = 2 * M + 2 * M * L + L;
  }
};

// Everything a step needs beside its arguments, cut out of one block of memory that the caller owns and reuses.
template <class Real> struct Buffers {
  Index chunk, stride;                      // time steps per product of weight gradients; length of a factor's row
  bool keep;                                // hidden layer stored for all t
  Real *x, *seen;                           // windows: targets, and what forces the state; one and the same without gaps
  Real *z, *hidden, *clipped, *forced;      // states z_1 .. z_T; u; a; z~
  Real *carry, *next_carry;                 // dloss/dz of the step at hand and of the one before it
  Real *factor_z, *factor_forced, *factor_clipped, *factor_hidden;  // factors of the weight gradients, [unit][pair]
  Real *sum_A, *sum_h1, *sum_h2;            // gradients of the vectors, still spread over the lanes of one vector
  Real *W1, *W2, *W1t, *W2t;                // packed weights and their transposes
  Real *no_forcing;                         // a row of alpha
  Index used;

  Buffers(Real *memory, const Shape &s) {
    const Index M = s.latent, L = s.hidden, state = M * s.lanes, W = WIDTH<Real>;
    chunk = steps_per_chunk(s, 2 * (M + L));
    stride = chunk * s.lanes + 16;  // + 16: rows exactly a power of two apart would fall on the same cache lines
    keep = M > RECOMPUTE_UP_TO;
    Arena<Real> arena{memory, 0};
    x = arena.take((s.steps + 1) * s.observed * s.lanes), seen = arena.take((s.steps + 1) * s.observed * s.lanes);
    z = arena.take(s.steps * state);
    hidden = arena.take((keep ? s.steps : 1) * L * s.lanes), clipped = arena.take(L * s.lanes);
    forced = arena.take(state), carry = arena.take(state), next_carry = arena.take(state);
    factor_z = arena.take(M * stride), factor_forced = arena.take(M * stride);
    factor_clipped = arena.take(L * stride), factor_hidden = arena.take(L * stride);
    sum_A = arena.take(M * W), sum_h1 = arena.take(M * W), sum_h2 = arena.take(L * W);
    W1 = arena.take(M * L), W2 = arena.take(L * M), W1t = arena.take(L * M), W2t = arena.take(M * L);
    no_forcing = arena.take(M);
    used = arena.used;
  }

  // The gradient factors (`rows` of them per pair) stay within about half a MiB, but cover at least 512 pairs.
  static Index steps_per_chunk(const Shape &s, Index rows) {
    Index steps = 131072 / rows / s.lanes;
    if (steps < 512 / s.lanes) steps = 512 / s.lanes;
    return steps < 1 ? 1 : steps > s.steps ? s.steps : steps;
  }
};

}  // namespace chaos
