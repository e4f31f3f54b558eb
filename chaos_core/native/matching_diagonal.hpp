// Jacobian matching of z' = A z + W phi(z) + h: J = diag(A) + W diag(d) C with d = phi' at the points; C takes the mean
// off a row where phi sees centred units, and else is the identity. With F = E C':
//
//   dA = diag E,   dW = F diag(d),   dd_k = sum_i W_ik F_ik
//
// One row of J is dealt with at a time. The basis says what d is, and what dd means to its own parameters.
#pragma once
#include "basis.hpp"
#include "matching.hpp"
#include "outer.hpp"

namespace chaos {

template <class Real> struct DiagonalMatchBuffers {
  Real *z, *inside;                // points; centred
  Real *slope, *entries, *pulled;  // d; a row of J, then of E; dd

  DiagonalMatchBuffers(const StepArguments &a, Arena<Real> &arena) {
    const Index size = a.state * padded(a.matched);
    z = arena.take(size), inside = arena.take(size);
    slope = arena.take(size), entries = arena.take(size), pulled = arena.take(size);
  }
};

template <class Real> struct DiagonalMatch {
  Match<Real> m;
  Shape s;  // its lanes are the points
  const Real *A, *W;
  Real *A_gradient, *W_gradient;
  DiagonalMatchBuffers<Real> b;
};

// Row i of J, then of E; adds to the gradient of A. Returns the sum of the squares of J - S.
template <class Real> static double row_error(const DiagonalMatch<Real> &d, Index i, bool is_centred) {
  const DiagonalMatchBuffers<Real> b = d.b;
  const Index M = d.s.state, lanes = d.s.lanes;
  const Real *W = d.W + i * M, own = d.A[i];
  for (Index k = 0; k < M; k++)
    for (Index at = k * lanes; at < (k + 1) * lanes; at += WIDTH<Real>)
      store<Real>(b.entries + at, W[k] * load<Real>(b.slope + at));
  centred(b.entries, b.entries, is_centred, d.s);
  for (Index lane = 0; lane < lanes; lane++) b.entries[i * lanes + lane] += own;
  double squares = 0;
  for (Index k = 0; k < M; k++) squares += d.m.turn_into_error(i, k, b.entries + k * lanes);
  add_sums(1, b.entries + i * lanes, lanes, lanes, d.A_gradient + i);
  return squares;
}

// Adds what row i of E gives to W and to dd.
template <class Real> static void row_gradient(const DiagonalMatch<Real> &d, Index i, bool is_centred) {
  const DiagonalMatchBuffers<Real> b = d.b;
  const Index M = d.s.state, lanes = d.s.lanes;
  const Real *W = d.W + i * M;
  centred(b.entries, b.entries, is_centred, d.s);
  add_dots(M, b.entries, b.slope, lanes, lanes, d.W_gradient + i * M);
  for (Index k = 0; k < M; k++)
    for (Index at = k * lanes; at < (k + 1) * lanes; at += WIDTH<Real>)
      store<Real>(b.pulled + at, load<Real>(b.pulled + at) + W[k] * load<Real>(b.entries + at));
}

// Adds the gradient of the penalty, returns the penalty.
template <class Real, class Basis> static double match(const DiagonalMatch<Real> &d, Basis &basis) {
  const DiagonalMatchBuffers<Real> b = d.b;
  const Index M = d.s.state, lanes = d.s.lanes;
  d.m.gather(b.z);
  const Real *inside = centred(b.inside, b.z, basis.is_centred, d.s);
  for (Index m = 0; m < M; m++)
    for (Index at = m * lanes; at < (m + 1) * lanes; at += WIDTH<Real>)
      store<Real>(b.slope + at, basis.slope(m, load<Real>(inside + at)));
  memset(b.pulled, 0, M * lanes * sizeof(Real));
  double squares = 0;
  for (Index i = 0; i < M; i++) {
    squares += row_error(d, i, basis.is_centred);
    row_gradient(d, i, basis.is_centred);
  }
  for (Index m = 0; m < M; m++)
    for (Index at = m * lanes; at < (m + 1) * lanes; at += WIDTH<Real>)
      basis.back_slope(m, load<Real>(inside + at), load<Real>(b.pulled + at));
  return d.m.penalty(squares);
}

}  // namespace chaos
