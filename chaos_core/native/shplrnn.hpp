// One time step of the shallow PLRNN in both directions (Hess et al. 2023, arXiv:2306.04406):
//
//   u = W2 z~,  a = phi(u + h2), or phi(u + h2) - phi(u) where clipped,  z' = A z~ + W1 a + h1
//
// Flat parameters: A (M) | W1 (M, L) | W2 (L, M) | h1 (M) | h2 (L).
#pragma once
#include "matching_shallow.hpp"
#include "step.hpp"
#include "unit.hpp"

namespace chaos {

// Up to this many latent units it is cheaper to compute the hidden layer again in the backward run than to load it.
constexpr Index RECOMPUTE_UP_TO = 8;

template <class Real, class Unit> struct ShallowCell {
  static constexpr Index W = WIDTH<Real>;
  Index parameters;
  Shape s;
  Unit unit;
  Shallow<Real> p, gradient;
  bool keep;                            // hidden layer stored for all t
  Real *hidden, *units, *back_hidden;   // lanes: u; a; dloss/du
  Real *sum_h2;                         // gradient, still spread over the lanes of one vector
  Packed<Real> packed;
  Real *pulled, *factor_from, *factor_units, *factor_hidden;
  ShallowMatchBuffers<Real> matching;

  static constexpr bool MATCHES = true;
  static Index factor_rows(const StepArguments &a) { return 2 * (a.state + a.inner); }
  static Index drive_width(const StepArguments &a) { return a.state; }

  ShallowCell(const StepArguments &a, const Shape &s, Real *flat, Real *gradient, Arena<Real> &arena)
      : parameters(2 * s.state + 2 * s.state * s.inner + s.inner), s(s), unit(a), p(flat, s.state, s.inner),
        gradient(gradient, s.state, s.inner), keep(s.state > RECOMPUTE_UP_TO), packed(s.state, s.inner, arena),
        matching(a, arena) {
    const Index M = s.state, L = s.inner;
    hidden = arena.take((keep ? s.steps : 1) * L * s.lanes);
    units = arena.take(L * s.lanes), back_hidden = units;  // never needed at the same time
    sum_h2 = arena.take(L * W);
    pulled = arena.take(M * s.stride), factor_from = arena.take(M * s.stride);
    factor_units = arena.take(L * s.stride), factor_hidden = arena.take(L * s.stride);
  }

  void begin() {
    packed.fill(p, s.state, s.inner);
    memset(sum_h2, 0, s.inner * W * sizeof(Real));
  }

  Real *hidden_at(Index t) const { return hidden + (keep ? t * s.inner * s.lanes : 0); }

  void forward(Index t, const Real *from, const Real *drive, Real *to) {
    const ShallowCell c = *this;
    const Index lanes = c.s.lanes;
    Real *u = c.hidden_at(t);
    multiply<Real>(c.packed.W2, c.s.inner, c.s.state, from, lanes, [&](Index j, Index lane, Vector<Real> sum) {
      if (c.keep) store<Real>(u + j * lanes + lane, sum);
      store<Real>(c.units + j * lanes + lane, value(c.unit, sum, c.p.h2[j]));
    });
    multiply<Real>(c.packed.W1, c.s.state, c.s.inner, c.units, lanes, [&](Index m, Index lane, Vector<Real> sum) {
      const Index i = m * lanes + lane;
      store<Real>(to + i, sum + c.p.A[m] * load<Real>(from + i) + shifted(c.p.h1[m], drive, i));
    });
  }

  void backward(Index t, Index column, const Real *from, const Real *, const Real *g, Real *before) {
    const ShallowCell c = *this;
    const Index M = c.s.state, L = c.s.inner, lanes = c.s.lanes, stride = c.s.stride;
    Real *u = c.hidden_at(t);
    keep_factor(c.pulled, g, M, lanes, stride, column);
    keep_factor(c.factor_from, from, M, lanes, stride, column);
    if (!c.keep)
      multiply<Real>(c.packed.W2, L, M, from, lanes,
                     [&](Index j, Index lane, Vector<Real> sum) { store<Real>(u + j * lanes + lane, sum); });
    multiply<Real>(c.packed.W1_back, L, M, g, lanes, [&](Index j, Index lane, Vector<Real> sum) {
      const Passed<Real> passed = back(c.unit, load<Real>(u + j * lanes + lane), c.p.h2[j], sum);
      store<Real>(c.sum_h2 + j * W, load<Real>(c.sum_h2 + j * W) + passed.shifted);
      store<Real>(c.back_hidden + j * lanes + lane, passed.difference);
      store<Real>(c.factor_hidden + j * stride + column + lane, passed.difference);
      store<Real>(c.factor_units + j * stride + column + lane, passed.value);
    });
    if (!before) return;
    multiply<Real>(c.packed.W2_back, M, L, c.back_hidden, lanes, [&](Index m, Index lane, Vector<Real> sum) {
      const Index i = m * lanes + lane;
      store<Real>(before + i, c.p.A[m] * load<Real>(g + i) + sum);
    });
  }

  void add_products(Index count) {
    const Index M = s.state, L = s.inner;
    add_outer<Real>(M, {pulled, factor_units, s.stride, count, gradient.W1, L});
    add_outer<Real>(L, {factor_hidden, factor_from, s.stride, count, gradient.W2, M});
    add_dots(M, pulled, factor_from, s.stride, count, gradient.A);
    add_sums(M, pulled, s.stride, count, gradient.h1);
  }

  void end() {
    for (Index j = 0; j < s.inner; j++) gradient.h2[j] += lane_sum<Real>(load<Real>(sum_h2 + j * W));
  }

  double match(const StepArguments &a, Index update) {
    return chaos::match(ShallowMatch<Real>{{a, update}, p, gradient, packed, matching}, unit);
  }
};

}  // namespace chaos
