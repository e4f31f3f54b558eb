// One time step of z' = tanh(W z + b) in both directions. Flat parameters: W (M, M) | b (M).
//
//   da = g (1 - z'^2)    dW += da z~'    db += da    dloss/dz~ = W' da
#include "activation.hpp"
#include "step.hpp"

namespace chaos {

template <class Real> struct TanhCell {
  Index parameters;
  Shape s;
  Real *W, *b, *W_gradient, *b_gradient;
  Real *packed, *packed_back;  // W; its transpose
  Real *back_inside;           // lanes: da
  Real *pulled, *factor_from;

  static constexpr bool MATCHES = false;
  static Index factor_rows(const StepArguments &a) { return 2 * a.state; }
  static Index drive_width(const StepArguments &a) { return a.state; }

  TanhCell(const StepArguments &, const Shape &s, Real *flat, Real *gradient, Arena<Real> &arena)
      : parameters(s.state * s.state + s.state), s(s), W(flat), b(W + s.state * s.state), W_gradient(gradient),
        b_gradient(W_gradient + s.state * s.state) {
    const Index M = s.state;
    packed = arena.take(M * M), packed_back = arena.take(M * M), back_inside = arena.take(M * s.lanes);
    pulled = arena.take(M * s.stride), factor_from = arena.take(M * s.stride);
  }

  void begin() {
    pack(packed, W, s.state, s.state, s.state, 1);
    pack(packed_back, W, s.state, s.state, 1, s.state);
  }

  // The sums are stored first: with tanh inside the product its sums would not stay in registers.
  void forward(Index, const Real *from, const Real *drive, Real *to) {
    const TanhCell c = *this;
    const Index lanes = c.s.lanes;
    multiply<Real>(c.packed, c.s.state, c.s.state, from, lanes, [&](Index m, Index lane, Vector<Real> sum) {
      const Index i = m * lanes + lane;
      store<Real>(to + i, sum + shifted(c.b[m], drive, i));
    });
    for (Index i = 0; i < c.s.state * lanes; i += WIDTH<Real>)
      store<Real>(to + i, hyperbolic_tangent<Real>(load<Real>(to + i)));
  }

  void backward(Index, Index column, const Real *from, const Real *to, const Real *g, Real *before) {
    const TanhCell c = *this;
    const Index M = c.s.state, lanes = c.s.lanes;
    for (Index i = 0; i < M * lanes; i += WIDTH<Real>) {
      const Vector<Real> after = load<Real>(to + i);
      store<Real>(c.back_inside + i, load<Real>(g + i) * (1 - after * after));
    }
    keep_factor(c.pulled, c.back_inside, M, lanes, c.s.stride, column);
    keep_factor(c.factor_from, from, M, lanes, c.s.stride, column);
    if (!before) return;
    multiply<Real>(c.packed_back, M, M, c.back_inside, lanes,
                   [&](Index m, Index lane, Vector<Real> sum) { store<Real>(before + m * lanes + lane, sum); });
  }

  void add_products(Index count) {
    add_outer<Real>(s.state, {pulled, factor_from, s.stride, count, W_gradient, s.state});
    add_sums(s.state, pulled, s.stride, count, b_gradient);
  }

  void end() {}
};

}  // namespace chaos

CHAOS_CELL(rnn, chaos::TanhCell)
