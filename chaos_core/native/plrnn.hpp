// One time step of z' = A z + W phi(z) + h in both directions, for all cells of this form.
//
// Flat parameters: A (M) | W (M, M) | h (M) | those of the basis. HOLLOW: the diagonal of W counts as zero.
//
//   dA += g z~    dW += g phi'    dh += g    dloss/dz~ = A g + phi'(z~)' (W' g)
#pragma once
#include "basis.hpp"
#include "matching_diagonal.hpp"
#include "step.hpp"

namespace chaos {

template <class Real, class Basis, bool HOLLOW> struct DiagonalCell {
  Index parameters;
  Shape s;
  Real *A, *W, *h, *A_gradient, *W_gradient, *h_gradient;
  Basis basis;
  Real *hollow, *packed, *packed_back;  // W; its transpose
  Real *phi, *back_phi;                 // lanes
  Real *pulled, *factor_from, *factor_phi;
  DiagonalMatchBuffers<Real> matching;

  static constexpr bool MATCHES = true;
  static Index factor_rows(const StepArguments &a) { return 3 * a.state; }
  static Index drive_width(const StepArguments &a) { return a.state; }

  DiagonalCell(const StepArguments &a, const Shape &s, Real *flat, Real *gradient, Arena<Real> &arena)
      : parameters(2 * s.state + s.state * s.state + Basis::parameters(a)), s(s), A(flat), W(A + s.state),
        h(W + s.state * s.state), A_gradient(gradient), W_gradient(A_gradient + s.state),
        h_gradient(W_gradient + s.state * s.state), basis(a, s, h + s.state, h_gradient + s.state, arena),
        matching(a, arena) {
    const Index M = s.state;
    hollow = arena.take(M * M), packed = arena.take(M * M), packed_back = arena.take(M * M);
    phi = arena.take(M * s.lanes), back_phi = arena.take(M * s.lanes);
    pulled = arena.take(M * s.stride), factor_from = arena.take(M * s.stride), factor_phi = arena.take(M * s.stride);
  }

  void begin() {
    const Index M = s.state;
    memcpy(hollow, W, M * M * sizeof(Real));
    for (Index m = 0; HOLLOW && m < M; m++) hollow[m * M + m] = 0;
    pack(packed, hollow, M, M, M, 1);
    pack(packed_back, hollow, M, M, 1, M);
    basis.begin();
  }

  INLINE void values(const DiagonalCell &c, const Real *from, Real *to, Index stride) {
    if constexpr (Basis::POINTWISE) {
      for (Index m = 0; m < c.s.state; m++)
        for (Index lane = 0; lane < c.s.lanes; lane += WIDTH<Real>)
          store<Real>(to + m * stride + lane, c.basis.value(m, load<Real>(from + m * c.s.lanes + lane)));
    } else {
      c.basis.values(from, to, stride);
    }
  }

  void forward(Index, const Real *from, const Real *drive, Real *to) {
    const DiagonalCell c = *this;
    const Index lanes = c.s.lanes;
    values(c, from, c.phi, lanes);
    multiply<Real>(c.packed, c.s.state, c.s.state, c.phi, lanes, [&](Index m, Index lane, Vector<Real> sum) {
      const Index i = m * lanes + lane;
      store<Real>(to + i, sum + c.A[m] * load<Real>(from + i) + shifted(c.h[m], drive, i));
    });
  }

  void backward(Index, Index column, const Real *from, const Real *, const Real *g, Real *before) {
    const DiagonalCell c = *this;
    const Index M = c.s.state, lanes = c.s.lanes;
    keep_factor(c.pulled, g, M, lanes, c.s.stride, column);
    keep_factor(c.factor_from, from, M, lanes, c.s.stride, column);
    values(c, from, c.factor_phi + column, c.s.stride);
    if (!before && Basis::POINTWISE) return;
    multiply<Real>(c.packed_back, M, M, g, lanes, [&](Index m, Index lane, Vector<Real> sum) {
      const Index i = m * lanes + lane;
      if constexpr (Basis::POINTWISE) {
        store<Real>(before + i, c.A[m] * load<Real>(g + i) + c.basis.back(m, load<Real>(from + i), sum));
      } else {
        store<Real>(c.back_phi + i, sum);
      }
    });
    if constexpr (!Basis::POINTWISE) {
      Real *to = before ? before : c.phi;  // the gradients of the basis are wanted even where nothing stands before
      for (Index m = 0; m < M; m++)
        for (Index i = m * lanes; i < (m + 1) * lanes; i += WIDTH<Real>)
          store<Real>(to + i, c.A[m] * load<Real>(g + i));
      c.basis.add_back(from, c.back_phi, to);
    }
  }

  void add_products(Index count) {
    const Index M = s.state;
    add_outer<Real>(M, {pulled, factor_phi, s.stride, count, W_gradient, M});
    add_dots(M, pulled, factor_from, s.stride, count, A_gradient);
    add_sums(M, pulled, s.stride, count, h_gradient);
  }

  void end() {
    clear_diagonal();
    basis.end();
  }

  void clear_diagonal() {
    for (Index m = 0; HOLLOW && m < s.state; m++) W_gradient[m * s.state + m] = 0;
  }

  double match(const StepArguments &a, Index update) {
    const Match<Real> m(a, update);
    Shape points = s;
    points.lanes = m.lanes;
    const DiagonalMatch<Real> d = {m, points, A, hollow, A_gradient, W_gradient, matching};
    const double penalty = chaos::match(d, basis);
    clear_diagonal();
    return penalty;
  }
};

}  // namespace chaos
