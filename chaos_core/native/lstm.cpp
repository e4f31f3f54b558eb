// One time step of the LSTM in both directions. The state is [h, c], M units each. Flat parameters:
//   W (4 M, M) | b (4 M)
//
//   i, f, q, o = W h + b;  c' = s(f) c + s(i) tanh(q);  h' = s(o) tanh(c')
//
// With the gates after their functions, r = tanh(c') and the gradients gh, gc of h' and c':
//
//   dc' = gc + gh o (1 - r^2)    do = gh r o (1 - o)    di = dc' q i (1 - i)    df = dc' c f (1 - f)
//   dq = dc' i (1 - q^2)         dloss/dc = dc' f       dloss/dh = W' [di, df, dq, do]
#include "activation.hpp"
#include "step.hpp"

namespace chaos {

template <class Real> struct LstmCell {
  Index parameters;
  Shape s;
  Index M, rows;  // units, rows of W
  Real *W, *b, *W_gradient, *b_gradient;
  Real *packed, *packed_back;  // W; its transpose
  Real *gates;                 // lanes of i, f, q, o after their functions, for all t
  Real *back_gates;            // lanes
  Real *pulled, *factor_from;

  static constexpr bool MATCHES = false;
  static Index factor_rows(const StepArguments &a) { return 5 * a.latent; }
  static Index drive_width(const StepArguments &a) { return 4 * a.latent; }

  LstmCell(const StepArguments &, const Shape &s, Real *flat, Real *gradient, Arena<Real> &arena)
      : parameters(4 * s.latent * (s.latent + 1)), s(s), M(s.latent), rows(4 * s.latent), W(flat), b(W + rows * M),
        W_gradient(gradient), b_gradient(W_gradient + rows * M) {
    packed = arena.take(rows * M), packed_back = arena.take(M * rows);
    gates = arena.take(s.steps * rows * s.lanes), back_gates = arena.take(rows * s.lanes);
    pulled = arena.take(rows * s.stride), factor_from = arena.take(M * s.stride);
  }

  void begin() {
    pack(packed, W, rows, M, M, 1);
    pack(packed_back, W, M, rows, 1, M);
  }

  void forward(Index t, const Real *from, const Real *drive, Real *to) {
    const LstmCell c = *this;
    const Index lanes = c.s.lanes, block = c.M * lanes;
    Real *gate = c.gates + t * c.rows * lanes;
    multiply<Real>(c.packed, c.rows, c.M, from, lanes, [&](Index m, Index lane, Vector<Real> sum) {
      const Index i = m * lanes + lane;
      store<Real>(gate + i, sum + shifted(c.b[m], drive, i));
    });
    for (Index k = 0; k < block; k += WIDTH<Real>) {
      const Vector<Real> in = logistic<Real>(load<Real>(gate + k)), keep = logistic<Real>(load<Real>(gate + block + k));
      const Vector<Real> fresh = hyperbolic_tangent<Real>(load<Real>(gate + 2 * block + k));
      const Vector<Real> out = logistic<Real>(load<Real>(gate + 3 * block + k));
      const Vector<Real> memory = keep * load<Real>(from + block + k) + in * fresh;
      store<Real>(gate + k, in), store<Real>(gate + block + k, keep);
      store<Real>(gate + 2 * block + k, fresh), store<Real>(gate + 3 * block + k, out);
      store<Real>(to + k, out * hyperbolic_tangent<Real>(memory));
      store<Real>(to + block + k, memory);
    }
  }

  void backward(Index t, Index column, const Real *from, const Real *to, const Real *g, Real *before) {
    const LstmCell c = *this;
    const Index lanes = c.s.lanes, block = c.M * lanes;
    const Real *gate = c.gates + t * c.rows * lanes;
    Real *back = c.back_gates;
    for (Index k = 0; k < block; k += WIDTH<Real>) {
      const Vector<Real> in = load<Real>(gate + k), keep = load<Real>(gate + block + k);
      const Vector<Real> fresh = load<Real>(gate + 2 * block + k), out = load<Real>(gate + 3 * block + k);
      const Vector<Real> seen = hyperbolic_tangent<Real>(load<Real>(to + block + k)), gh = load<Real>(g + k);
      const Vector<Real> memory = load<Real>(g + block + k) + gh * out * (1 - seen * seen);
      store<Real>(back + k, memory * fresh * in * (1 - in));
      store<Real>(back + block + k, memory * load<Real>(from + block + k) * keep * (1 - keep));
      store<Real>(back + 2 * block + k, memory * in * (1 - fresh * fresh));
      store<Real>(back + 3 * block + k, gh * seen * out * (1 - out));
      if (before) store<Real>(before + block + k, memory * keep);
    }
    keep_factor(c.pulled, back, c.rows, lanes, c.s.stride, column);
    keep_factor(c.factor_from, from, c.M, lanes, c.s.stride, column);
    if (!before) return;
    multiply<Real>(c.packed_back, c.M, c.rows, back, lanes,
                   [&](Index m, Index lane, Vector<Real> sum) { store<Real>(before + m * lanes + lane, sum); });
  }

  void add_products(Index count) {
    add_outer<Real>(rows, {pulled, factor_from, s.stride, count, W_gradient, M});
    add_sums(rows, pulled, s.stride, count, b_gradient);
  }

  void end() {}
};

}  // namespace chaos

CHAOS_CELL(lstm, chaos::LstmCell)
