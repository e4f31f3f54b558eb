// One time step of the GRU in both directions. Flat parameters: W (3 M, M) | b (3 M) | c (M), rows of r, q, n.
//
//   v = W_n z + c;  r, q = s(W_rq z + b_rq);  n = tanh(b_n + r v);  z' = n + q (z - n)
//
//   dq = g (z - n) q (1 - q)    da = g (1 - q) (1 - n^2)    dr = da v r (1 - r)    dv = da r
//   db += [dr, dq, da]          dc += dv                    dloss/dz = g q + W' [dr, dq, dv]
#include "activation.hpp"
#include "step.hpp"

namespace chaos {

template <class Real> struct GruCell {
  Index parameters;
  Shape s;
  Index M, rows;  // units, rows of W
  Real *W, *b, *shift, *W_gradient, *b_gradient, *shift_gradient;
  Real *packed, *packed_back;  // W; its transpose
  Real *kept;                  // lanes of r, q, v, n for all t
  Real *back_rows;             // lanes of dr, dq, dv
  Real *pulled, *factor_rows_of_W, *factor_from;  // dr, dq, da; dr, dq, dv; z~

  static constexpr bool MATCHES = false;
  static Index factor_rows(const StepArguments &a) { return 7 * a.state; }
  static Index drive_width(const StepArguments &a) { return 3 * a.state; }

  GruCell(const StepArguments &, const Shape &s, Real *flat, Real *gradient, Arena<Real> &arena)
      : parameters(3 * s.state * s.state + 4 * s.state), s(s), M(s.state), rows(3 * s.state), W(flat), b(W + rows * M),
        shift(b + rows), W_gradient(gradient), b_gradient(W_gradient + rows * M), shift_gradient(b_gradient + rows) {
    packed = arena.take(rows * M), packed_back = arena.take(M * rows);
    kept = arena.take(s.steps * 4 * M * s.lanes), back_rows = arena.take(rows * s.lanes);
    pulled = arena.take(rows * s.stride), factor_rows_of_W = arena.take(rows * s.stride);
    factor_from = arena.take(M * s.stride);
  }

  void begin() {
    pack(packed, W, rows, M, M, 1);
    pack(packed_back, W, M, rows, 1, M);
  }

  void forward(Index t, const Real *from, const Real *drive, Real *to) {
    const GruCell c = *this;
    const Index lanes = c.s.lanes, block = c.M * lanes;
    Real *keep = c.kept + t * 4 * block;
    multiply<Real>(c.packed, c.rows, c.M, from, lanes, [&](Index m, Index lane, Vector<Real> sum) {
      const Index i = m * lanes + lane;
      store<Real>(keep + i, m < 2 * c.M ? sum + shifted(c.b[m], drive, i) : sum + c.shift[m - 2 * c.M]);
    });
    for (Index m = 0; m < c.M; m++)
      for (Index k = m * lanes; k < (m + 1) * lanes; k += WIDTH<Real>) {
        const Vector<Real> r = logistic<Real>(load<Real>(keep + k)), q = logistic<Real>(load<Real>(keep + block + k));
        const Vector<Real> outside = shifted(c.b[2 * c.M + m], drive, 2 * block + k);
        const Vector<Real> n = hyperbolic_tangent<Real>(outside + r * load<Real>(keep + 2 * block + k));
        store<Real>(keep + k, r), store<Real>(keep + block + k, q), store<Real>(keep + 3 * block + k, n);
        store<Real>(to + k, n + q * (load<Real>(from + k) - n));
      }
  }

  void backward(Index t, Index column, const Real *from, const Real *, const Real *g, Real *before) {
    const GruCell c = *this;
    const Index lanes = c.s.lanes, block = c.M * lanes, stride = c.s.stride;
    const Real *keep = c.kept + t * 4 * block;
    for (Index m = 0; m < c.M; m++)
      for (Index lane = 0; lane < lanes; lane += WIDTH<Real>) {
        const Index k = m * lanes + lane, row = m * stride + column + lane, gate = c.M * stride;
        const Vector<Real> r = load<Real>(keep + k), q = load<Real>(keep + block + k);
        const Vector<Real> v = load<Real>(keep + 2 * block + k);
        const Vector<Real> n = load<Real>(keep + 3 * block + k), out = load<Real>(g + k), z = load<Real>(from + k);
        const Vector<Real> da = out * (1 - q) * (1 - n * n), dr = da * v * r * (1 - r), dv = da * r;
        const Vector<Real> dq = out * (z - n) * q * (1 - q);
        Real *pulled_row = c.pulled + row;
        store<Real>(pulled_row, dr), store<Real>(pulled_row + gate, dq), store<Real>(pulled_row + 2 * gate, da);
        Real *factor = c.factor_rows_of_W + row;
        store<Real>(factor, dr), store<Real>(factor + gate, dq), store<Real>(factor + 2 * gate, dv);
        Real *back = c.back_rows + k;
        store<Real>(back, dr), store<Real>(back + block, dq), store<Real>(back + 2 * block, dv);
      }
    keep_factor(c.factor_from, from, c.M, lanes, stride, column);
    if (!before) return;
    multiply<Real>(c.packed_back, c.M, c.rows, c.back_rows, lanes, [&](Index m, Index lane, Vector<Real> sum) {
      const Index k = m * lanes + lane;
      store<Real>(before + k, sum + load<Real>(g + k) * load<Real>(keep + block + k));
    });
  }

  void add_products(Index count) {
    add_outer<Real>(rows, {factor_rows_of_W, factor_from, s.stride, count, W_gradient, M});
    add_sums(rows, pulled, s.stride, count, b_gradient);
    add_sums(M, factor_rows_of_W + 2 * M * s.stride, s.stride, count, shift_gradient);
  }

  void end() {}
};

}  // namespace chaos

CHAOS_CELL(gru, chaos::GruCell)
