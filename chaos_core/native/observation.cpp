// Observations that need arithmetic: a trained start of hidden units, linear and affine read-outs.
#include "observation.hpp"
#include "outer.hpp"
#include "product.hpp"

namespace chaos {

template <class Real>
Observation<Real>::Observation(Index reading, bool gaps, const Shape &s, Real *flat, Real *gradient, Arena<Real> &arena)
    : s(s), reading(reading), gaps(gaps), filled_pairs(0), buffers(nullptr, 0, 0) {
  const Index n = s.observed, m = s.latent, lanes = s.lanes, size = parameters(reading, s);
  matrix = flat, bias = reading == AFFINE ? flat + n * m : nullptr;
  matrix_gradient = gradient, bias_gradient = gradient + size - (reading == AFFINE ? n : 0);
  fed = arena.take(n * lanes);
  if (!infers()) return;
  inverse = arena.take(m * n), inverse_gradient = arena.take(m * n);
  infer_by = arena.take(m * n), infer_back = arena.take(m * n);
  filled = arena.take(n * lanes), inferred = arena.take(m * lanes), pulled = arena.take(m * lanes);
  factor_inferred = arena.take(m * s.stride), factor_filled = arena.take(n * s.stride);
  if (!reads()) return;
  read = arena.take(m * n), read_back = arena.take(m * n), error = arena.take(n * lanes);
  factor_error = arena.take(n * s.stride), factor_state = arena.take(m * s.stride);
  sum_bias = arena.take(n * WIDTH<Real>);
  constexpr Index WORDS = sizeof(double) / sizeof(Real);
  buffers = InverseBuffers((double *)arena.take(WORDS * InverseBuffers::count(n, m)), n, m);
}

template <class Real> void Observation<Real>::begin() {
  const Index n = s.observed, m = s.latent;
  memset(fed, 0, n * s.lanes * sizeof(Real));
  if (!infers()) return;
  filled_pairs = 0;
  memset(inverse_gradient, 0, m * n * sizeof(Real));
  if (reads()) {
    pseudo_inverse(matrix, inverse, n, m, buffers);
    pack(read, matrix, n, m, m, 1);
    pack(read_back, matrix, m, n, 1, m);
    memset(sum_bias, 0, n * WIDTH<Real> * sizeof(Real));
  } else {
    for (Index i = 0; i < n * n; i++) inverse[i] = i / n == i % n;
    memcpy(inverse + n * n, matrix, (m - n) * n * sizeof(Real));
  }
  pack(infer_by, inverse, m, n, n, 1);
  pack(infer_back, inverse, n, m, 1, n);
}

template <class Real> const Real *Observation<Real>::infer(const Real *seen, const Real *z) {
  const Index n = s.observed, m = s.latent, lanes = s.lanes;
  const Real *from = seen;
  if (gaps && z) {
    if (reads())
      multiply<Real>(read, n, m, z, lanes, [&](Index i, Index lane, Vector<Real> sum) {
        const Vector<Real> x = load<Real>(seen + i * lanes + lane);
        store<Real>(filled + i * lanes + lane, x == x ? x - (bias ? bias[i] : 0) : sum);
      });
    else
      for (Index i = 0; i < n * lanes; i += WIDTH<Real>) {
        const Vector<Real> x = load<Real>(seen + i);
        store<Real>(filled + i, x == x ? x : load<Real>(z + i));
      }
    from = filled;
  } else if (bias) {
    for (Index i = 0; i < n; i++)
      for (Index lane = 0; lane < lanes; lane += WIDTH<Real>)
        store<Real>(filled + i * lanes + lane, load<Real>(seen + i * lanes + lane) - bias[i]);
    from = filled;
  }
  multiply<Real>(infer_by, m, n, from, lanes,
                 [&](Index i, Index lane, Vector<Real> sum) { store<Real>(inferred + i * lanes + lane, sum); });
  if (from == seen) memcpy(filled, seen, n * lanes * sizeof(Real));
  return inferred;
}

template <class Real>
void Observation<Real>::back_through_infer(const Real *alpha, const Real *g, const Real *seen) {
  const Index n = s.observed, m = s.latent, lanes = s.lanes;
  for (Index i = 0; i < m; i++)
    for (Index lane = 0; lane < lanes; lane += WIDTH<Real>) {
      const Vector<Real> none = {}, whole = load<Real>(g + i * lanes + lane);
      const Real a = alpha ? alpha[i] : 1;
      store<Real>(pulled + i * lanes + lane, a == 0 ? none : a * whole);
    }
  const Index column = filled_pairs;
  keep_factor(factor_inferred, pulled, m, lanes, s.stride, column);
  keep_factor(factor_filled, filled, n, lanes, s.stride, column);
  filled_pairs += lanes;
  if (!gaps && !bias) return;
  multiply<Real>(infer_back, n, m, pulled, lanes, [&](Index i, Index lane, Vector<Real> sum) {
    const Vector<Real> none = {}, x = load<Real>(seen + i * lanes + lane);
    if (bias) store<Real>(sum_bias + i * WIDTH<Real>, load<Real>(sum_bias + i * WIDTH<Real>) - sum);
    if (gaps && alpha) store<Real>(fed + i * lanes + lane, x == x ? none : sum);
  });
}

template <class Real>
Vector<Real> Observation<Real>::add_error(const Real *z, const Real *target, const Real *live, Real scale, Index column,
                                          Real *g, Vector<Real> squares) {
  const Index n = s.observed, m = s.latent, lanes = s.lanes;
  const Vector<Real> zero = {};
  multiply<Real>(read, n, m, z, lanes, [&](Index i, Index lane, Vector<Real> sum) {
    const Vector<Real> x = load<Real>(target + i * lanes + lane), away = sum + (bias ? bias[i] : 0) - x;
    const Vector<Real> counted = gaps ? x == x ? away : zero : away;
    const Vector<Real> e = load<Real>(live + lane) > zero ? counted : zero;
    squares += e * e;
    const Vector<Real> whole = gaps ? scale * e + load<Real>(fed + i * lanes + lane) : scale * e;
    store<Real>(error + i * lanes + lane, whole);
    store<Real>(factor_error + i * s.stride + column + lane, whole);
  });
  if (gaps) memset(fed, 0, n * lanes * sizeof(Real));
  multiply<Real>(read_back, m, n, error, lanes, [&](Index i, Index lane, Vector<Real> sum) {
    const Index at = i * lanes + lane;
    store<Real>(g + at, load<Real>(g + at) + sum);
    store<Real>(factor_state + i * s.stride + column + lane, load<Real>(z + at));
  });
  return squares;
}

template <class Real> void Observation<Real>::add_products(Index count) {
  if (!infers()) return;
  const Index n = s.observed, m = s.latent;
  add_outer<Real>(m, {factor_inferred, factor_filled, s.stride, filled_pairs, inverse_gradient, n});
  filled_pairs = 0;
  if (!reads()) return;
  add_outer<Real>(n, {factor_error, factor_state, s.stride, count, matrix_gradient, m});
  if (bias) add_sums(n, factor_error, s.stride, count, bias_gradient);
}

template <class Real> void Observation<Real>::end() {
  const Index n = s.observed, m = s.latent;
  if (reading == STARTED)
    for (Index i = 0; i < (m - n) * n; i++) matrix_gradient[i] += inverse_gradient[n * n + i];
  if (!reads()) return;
  back_through_inverse(inverse_gradient, matrix_gradient, n, m, buffers);
  if (bias)
    for (Index i = 0; i < n; i++) bias_gradient[i] += lane_sum<Real>(load<Real>(sum_bias + i * WIDTH<Real>));
}

template struct Observation<float>;
template struct Observation<double>;

}  // namespace chaos
