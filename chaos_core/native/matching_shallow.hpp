// Jacobian matching of shallow networks: J = diag(A) + W1 diag(d) W2, d = da/du, u = W2 z. With F = W1' E (L, M):
//
//   dA = diag E,   dW1 = E (diag(d) W2)',   dd_j = sum_k F_jk W2_jk
//   dW2 = diag(d) F + (dd * ddd/du) z',   dh2 = dd * ddd/dh2
//
// One column k of J is dealt with at a time, so that both products are those of the forward and backward step.
#pragma once
#include "matching.hpp"
#include "outer.hpp"
#include "product.hpp"
#include "unit.hpp"

namespace chaos {

// Parameters of a shallow network, cut out of a flat vector.
template <class Real> struct Shallow {
  Real *A, *W1, *W2, *h1, *h2;
  Shallow(Real *flat, Index M, Index L)
      : A(flat), W1(A + M), W2(W1 + M * L), h1(W2 + L * M), h2(h1 + M) {}
};

// Its matrices as product.hpp wants them, and their transposes.
template <class Real> struct Packed {
  Real *W1, *W2, *W1_back, *W2_back;
  Packed(Index M, Index L, Arena<Real> &arena)
      : W1(arena.take(M * L)), W2(arena.take(L * M)), W1_back(arena.take(L * M)), W2_back(arena.take(M * L)) {}
  void fill(const Shallow<Real> &p, Index M, Index L) const {
    pack(W1, p.W1, M, L, L, 1);
    pack(W2, p.W2, L, M, M, 1);
    pack(W1_back, p.W1, L, M, 1, L);
    pack(W2_back, p.W2, M, L, 1, M);
  }
};

template <class Real> struct ShallowMatchBuffers {
  Real *z;                           // points
  Real *slope, *shifted, *bent;      // d; ddd/dh2; ddd/du
  Real *column, *error, *pulled;     // diag(d) W2[:, k]; E[:, k]; dd
  Real *sum;                         // diag(d) F[:, k], summed over the points but for the lanes of one vector

  ShallowMatchBuffers(const StepArguments &a, Arena<Real> &arena) {
    const Index lanes = padded(a.matched);
    z = arena.take(a.state * lanes), error = arena.take(a.state * lanes);
    slope = arena.take(a.inner * lanes), shifted = arena.take(a.inner * lanes), bent = arena.take(a.inner * lanes);
    column = arena.take(a.inner * lanes), pulled = arena.take(a.inner * lanes);
    sum = arena.take(a.inner * WIDTH<Real>);
  }
};

template <class Real> struct ShallowMatch {
  Match<Real> m;
  Shallow<Real> p, gradient;
  const Packed<Real> &packed;
  ShallowMatchBuffers<Real> b;
};

// d and its derivatives at the points.
template <class Real, class Unit> static void bend_units(const ShallowMatch<Real> &s, Unit unit) {
  const ShallowMatchBuffers<Real> b = s.b;
  const Index lanes = s.m.lanes;
  const Real *h2 = s.p.h2;
  s.m.gather(b.z);
  multiply<Real>(s.packed.W2, s.m.a.inner, s.m.a.state, b.z, lanes, [&](Index j, Index lane, Vector<Real> u) {
    const Bend<Real> at = bend(unit, u, h2[j]);
    const Index i = j * lanes + lane;
    store<Real>(b.slope + i, at.slope), store<Real>(b.shifted + i, at.shifted), store<Real>(b.bent + i, at.bent);
  });
}

// Column k of J - S into b.error; adds to the gradient of A. Returns the sum of its squares.
template <class Real> static double column_error(const ShallowMatch<Real> &s, Index k) {
  const ShallowMatchBuffers<Real> b = s.b;
  const Index M = s.m.a.state, lanes = s.m.lanes;
  const Real *A = s.p.A;
  for (Index j = 0; j < s.m.a.inner; j++)
    for (Index lane = 0; lane < lanes; lane++)
      b.column[j * lanes + lane] = s.p.W2[j * M + k] * b.slope[j * lanes + lane];
  multiply<Real>(s.packed.W1, M, s.m.a.inner, b.column, lanes, [&](Index i, Index lane, Vector<Real> sum) {
    store<Real>(b.error + i * lanes + lane, i == k ? sum + A[i] : sum);
  });
  double squares = 0;
  for (Index i = 0; i < M; i++) squares += s.m.turn_into_error(i, k, b.error + i * lanes);
  for (Index lane = 0; lane < lanes; lane++) s.gradient.A[k] += b.error[k * lanes + lane];
  return squares;
}

// Adds what column k of E gives to W1, to W2 and to dd.
template <class Real> static void column_gradient(const ShallowMatch<Real> &s, Index k) {
  const ShallowMatchBuffers<Real> b = s.b;
  const Index M = s.m.a.state, L = s.m.a.inner, lanes = s.m.lanes;
  const Real *W2 = s.p.W2;
  add_outer<Real>(M, {b.error, b.column, lanes, lanes, s.gradient.W1, L});
  memset(b.sum, 0, L * WIDTH<Real> * sizeof(Real));
  multiply<Real>(s.packed.W1_back, L, M, b.error, lanes, [&](Index j, Index lane, Vector<Real> f) {
    const Index i = j * lanes + lane, w = j * WIDTH<Real>;
    store<Real>(b.sum + w, load<Real>(b.sum + w) + load<Real>(b.slope + i) * f);
    store<Real>(b.pulled + i, load<Real>(b.pulled + i) + W2[j * M + k] * f);
  });
  for (Index j = 0; j < L; j++) s.gradient.W2[j * M + k] += lane_sum<Real>(load<Real>(b.sum + j * WIDTH<Real>));
}

// Through d into W2 and h2; `bent` becomes the left factor of the product with z. A rectifier has no second derivative.
template <class Real> static void bend_gradient(const ShallowMatch<Real> &s) {
  const ShallowMatchBuffers<Real> b = s.b;
  const Index lanes = s.m.lanes;
  for (Index j = 0; j < s.m.a.inner; j++)
    for (Index lane = 0; lane < lanes; lane++) {
      const Index i = j * lanes + lane;
      s.gradient.h2[j] += b.pulled[i] * b.shifted[i];
      b.bent[i] *= b.pulled[i];
    }
  add_outer<Real>(s.m.a.inner, {b.bent, b.z, lanes, lanes, s.gradient.W2, s.m.a.state});
}

// Adds the gradient of the penalty, returns the penalty.
template <class Real, class Unit> static double match(const ShallowMatch<Real> &s, Unit unit) {
  bend_units(s, unit);
  memset(s.b.pulled, 0, s.m.a.inner * s.m.lanes * sizeof(Real));
  double squares = 0;
  for (Index k = 0; k < s.m.a.state; k++) {
    squares += column_error(s, k);
    column_gradient(s, k);
  }
  bend_gradient(s);
  return s.m.penalty(squares);
}

}  // namespace chaos
