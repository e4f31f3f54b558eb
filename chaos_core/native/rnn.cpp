// One time step of z' = tanh(W z + b) in both directions. Flat parameters: W (M, M) | b (M).
//
//   da = g (1 - z'^2)    dW += da z~'    db += da    dloss/dz~ = W' da
//
// Its Jacobian is diag(c) W with c = 1 - z'^2, so dc passes on da = -2 z' c dc.
#include "activation.hpp"
#include "matching_gated.hpp"
#include "step.hpp"

namespace chaos {

template <class Real> struct TanhCell {
  Index parameters;
  Shape s;
  Real *W, *b, *W_gradient, *b_gradient;
  Real *packed, *packed_back;  // W; its transpose
  Real *back_inside;           // lanes: da
  Real *pulled, *factor_from;
  Real *points, *after, *slope, *back_slope, *entries;  // of the matching: z; z'; c; dc, then da; a row of J

  static constexpr bool MATCHES = true;
  static Index factor_rows(const StepArguments &a) { return 2 * a.state; }
  static Index drive_width(const StepArguments &a) { return a.state; }

  TanhCell(const StepArguments &a, const Shape &s, Real *flat, Real *gradient, Arena<Real> &arena)
      : parameters(s.state * s.state + s.state), s(s), W(flat), b(W + s.state * s.state), W_gradient(gradient),
        b_gradient(W_gradient + s.state * s.state) {
    const Index M = s.state;
    packed = arena.take(M * M), packed_back = arena.take(M * M), back_inside = arena.take(M * s.lanes);
    pulled = arena.take(M * s.stride), factor_from = arena.take(M * s.stride);
    const Index size = M * padded(a.matched);
    points = arena.take(size), after = arena.take(size), slope = arena.take(size);
    back_slope = arena.take(size), entries = arena.take(size);
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

  double match(const StepArguments &a, Index update) {
    const TanhCell c = *this;
    const Match<Real> m(a, update);
    const Index M = c.s.state, lanes = m.lanes;
    m.gather(c.points);
    multiply<Real>(c.packed, M, M, c.points, lanes, [&](Index i, Index lane, Vector<Real> sum) {
      store<Real>(c.after + i * lanes + lane, sum + c.b[i]);
    });
    for (Index i = 0; i < M * lanes; i += WIDTH<Real>) {
      const Vector<Real> after = hyperbolic_tangent<Real>(load<Real>(c.after + i));
      store<Real>(c.after + i, after), store<Real>(c.slope + i, 1 - after * after);
    }
    const GatedMatch<Real> g = {m, 1, c.W, c.W_gradient, c.slope, nullptr, c.back_slope, c.entries};
    const double penalty = chaos::match(g);
    for (Index i = 0; i < M * lanes; i += WIDTH<Real>) {
      const Vector<Real> bent = -2 * load<Real>(c.after + i) * load<Real>(c.slope + i);
      store<Real>(c.back_slope + i, bent * load<Real>(c.back_slope + i));
    }
    add_outer<Real>(M, {c.back_slope, c.points, lanes, lanes, c.W_gradient, M});
    add_sums(M, c.back_slope, lanes, lanes, c.b_gradient);
    return penalty;
  }
};

}  // namespace chaos

CHAOS_CELL(rnn, chaos::TanhCell)
