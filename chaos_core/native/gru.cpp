// One time step of the GRU in both directions. Flat parameters: W (3 M, M) | b (3 M) | c (M), rows of r, q, n.
//
//   v = W_n z + c;  r, q = s(W_rq z + b_rq);  n = tanh(b_n + r v);  z' = n + q (z - n)
//
//   dq = g (z - n) q (1 - q)    da = g (1 - q) (1 - n^2)    dr = da v r (1 - r)    dv = da r
//   db += [dr, dq, da]          dc += dv                    dloss/dz = g q + W' [dr, dq, dv]
//
// Its Jacobian is diag(q) + diag(c_r) W_r + diag(c_q) W_q + diag(c_n) W_n with
//
//   p = (1 - q) (1 - n^2)       c_r = p v r (1 - r)         c_q = (z - n) q (1 - q)         c_n = p r
#include "activation.hpp"
#include "matching_gated.hpp"
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
  // Of the matching: z; r, q, v, n; c; dc, then dr, dq, dv; q, then dq of the diagonal, then da; a row of J.
  Real *points, *at_points, *slopes, *back_slopes, *own, *entries;

  static constexpr bool MATCHES = true;
  static Index factor_rows(const StepArguments &a) { return 7 * a.state; }
  static Index drive_width(const StepArguments &a) { return 3 * a.state; }

  GruCell(const StepArguments &a, const Shape &s, Real *flat, Real *gradient, Arena<Real> &arena)
      : parameters(3 * s.state * s.state + 4 * s.state), s(s), M(s.state), rows(3 * s.state), W(flat), b(W + rows * M),
        shift(b + rows), W_gradient(gradient), b_gradient(W_gradient + rows * M), shift_gradient(b_gradient + rows) {
    packed = arena.take(rows * M), packed_back = arena.take(M * rows);
    kept = arena.take(s.steps * 4 * M * s.lanes), back_rows = arena.take(rows * s.lanes);
    pulled = arena.take(rows * s.stride), factor_rows_of_W = arena.take(rows * s.stride);
    factor_from = arena.take(M * s.stride);
    const Index size = M * padded(a.matched);
    points = arena.take(size), at_points = arena.take(4 * size), slopes = arena.take(3 * size);
    back_slopes = arena.take(3 * size), own = arena.take(size), entries = arena.take(size);
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

  double match(const StepArguments &a, Index update) {
    const GruCell c = *this;
    const Match<Real> m(a, update);
    const Index lanes = m.lanes, size = c.M * lanes;
    m.gather(c.points);
    multiply<Real>(c.packed, c.rows, c.M, c.points, lanes, [&](Index i, Index lane, Vector<Real> sum) {
      store<Real>(c.at_points + i * lanes + lane, sum + (i < 2 * c.M ? c.b[i] : c.shift[i - 2 * c.M]));
    });
    for (Index i = 0; i < c.M; i++)
      for (Index k = i * lanes; k < (i + 1) * lanes; k += WIDTH<Real>) slope_at(c, k, size, c.b[2 * c.M + i]);
    const GatedMatch<Real> g = {m, 3, c.W, c.W_gradient, c.slopes, c.own, c.back_slopes, c.entries};
    const double penalty = chaos::match(g);
    for (Index k = 0; k < size; k += WIDTH<Real>) back_slope_at(c, k, size);
    add_outer<Real>(c.rows, {c.back_slopes, c.points, lanes, lanes, c.W_gradient, c.M});
    add_sums(2 * c.M, c.back_slopes, lanes, lanes, c.b_gradient);
    add_sums(c.M, c.own, lanes, lanes, c.b_gradient + 2 * c.M);
    add_sums(c.M, c.back_slopes + 2 * size, lanes, lanes, c.shift_gradient);
    return penalty;
  }

  // r, q, v, n, the c, and q as the diagonal.
  INLINE void slope_at(const GruCell &c, Index k, Index size, Real b_n) {
    Real *at = c.at_points + k, *slope = c.slopes + k;
    const Vector<Real> r = logistic<Real>(load<Real>(at)), q = logistic<Real>(load<Real>(at + size));
    const Vector<Real> v = load<Real>(at + 2 * size), n = hyperbolic_tangent<Real>(b_n + r * v);
    const Vector<Real> p = (1 - q) * (1 - n * n);
    store<Real>(at, r), store<Real>(at + size, q), store<Real>(at + 3 * size, n), store<Real>(c.own + k, q);
    store<Real>(slope, p * v * r * (1 - r)), store<Real>(slope + 2 * size, p * r);
    store<Real>(slope + size, (load<Real>(c.points + k) - n) * q * (1 - q));
  }

  // From the dc and de to dr, dq, dv and da, as `backward` has them.
  INLINE void back_slope_at(const GruCell &c, Index k, Index size) {
    const Real *at = c.at_points + k;
    const Vector<Real> r = load<Real>(at), q = load<Real>(at + size), v = load<Real>(at + 2 * size);
    const Vector<Real> n = load<Real>(at + 3 * size), away = load<Real>(c.points + k) - n;
    Real *back = c.back_slopes + k;
    const Vector<Real> c_r = load<Real>(back), c_q = load<Real>(back + size), c_n = load<Real>(back + 2 * size);
    const Vector<Real> gate = r * (1 - r), flat = 1 - n * n, p = (1 - q) * flat, dp = r * c_n + v * gate * c_r;
    const Vector<Real> da = -(q * (1 - q) * c_q + 2 * n * (1 - q) * dp) * flat;
    const Vector<Real> dr = p * c_n + p * v * (1 - 2 * r) * c_r + da * v, dv = p * gate * c_r + da * r;
    const Vector<Real> dq = load<Real>(c.own + k) + away * (1 - 2 * q) * c_q - flat * dp;
    store<Real>(back, dr * gate), store<Real>(back + size, dq * q * (1 - q)), store<Real>(back + 2 * size, dv);
    store<Real>(c.own + k, da);
  }
};

}  // namespace chaos

CHAOS_CELL(gru, chaos::GruCell)
