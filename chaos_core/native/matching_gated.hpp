// Jacobian matching of cells with gates: a row of J is a sum of rows of W, each times a number c of the point,
//
//   J_ik = [i = k] e_i + sum_g c_gi W_gik      dW_gik = c_gi E_ik      dc_gi = sum_k W_gik E_ik      de_i = E_ii
//
// W being (gates, M, M). The cell says what c and e are, and what dc and de mean to what is inside its gates.
#pragma once
#include "matching.hpp"
#include "outer.hpp"

namespace chaos {

template <class Real> struct GatedMatch {
  Match<Real> m;
  Index gates;
  const Real *W;
  Real *W_gradient;
  Real *c, *own, *pulled, *entries;  // lanes of c; of e, then of de, or null; of dc; a row of J, then of E
};

// Row i of J, then of E. Returns the sum of the squares of J - S.
template <class Real> static double gated_error(const GatedMatch<Real> &d, Index i) {
  const GatedMatch<Real> s = d;
  const Index M = s.m.a.state, lanes = s.m.lanes;
  for (Index k = 0; k < M; k++)
    for (Index lane = 0; lane < lanes; lane += WIDTH<Real>) {
      Vector<Real> sum = {};
      if (s.own && i == k) sum = load<Real>(s.own + i * lanes + lane);
      for (Index g = 0; g < s.gates; g++)
        sum += s.W[(g * M + i) * M + k] * load<Real>(s.c + (g * M + i) * lanes + lane);
      store<Real>(s.entries + k * lanes + lane, sum);
    }
  double squares = 0;
  for (Index k = 0; k < M; k++) squares += s.m.turn_into_error(i, k, s.entries + k * lanes);
  return squares;
}

// Adds what row i of E gives to W, and writes dc and de.
template <class Real> static void gated_gradient(const GatedMatch<Real> &d, Index i) {
  const GatedMatch<Real> s = d;
  const Index M = s.m.a.state, lanes = s.m.lanes;
  for (Index g = 0; g < s.gates; g++) {
    const Index row = g * M + i;
    add_outer<Real>(1, {s.c + row * lanes, s.entries, lanes, lanes, s.W_gradient + row * M, M});
    for (Index lane = 0; lane < lanes; lane += WIDTH<Real>) {
      Vector<Real> sum = {};
      for (Index k = 0; k < M; k++) sum += s.W[row * M + k] * load<Real>(s.entries + k * lanes + lane);
      store<Real>(s.pulled + row * lanes + lane, sum);
    }
  }
  if (s.own) memcpy(s.own + i * lanes, s.entries + i * lanes, lanes * sizeof(Real));
}

// Adds the gradient with respect to W by way of W_gik, leaves the others in `pulled` and `own`, returns the penalty.
template <class Real> static double match(const GatedMatch<Real> &s) {
  double squares = 0;
  for (Index i = 0; i < s.m.a.state; i++) {
    squares += gated_error(s, i);
    gated_gradient(s, i);
  }
  return s.m.penalty(squares);
}

}  // namespace chaos
