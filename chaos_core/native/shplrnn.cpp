// One whole training step of the clipped shallow PLRNN with identity observation, in one call from Python:
// gather the windows, run forward, mean squared error, run backward, clip, update.
//
//   u = W2 z~,  a = phi(u + h2) - phi(u),  z' = A z~ + W1 a + h1            (Hess et al. 2023, arXiv:2306.04406)
//   z~_t = (1 - alpha_t) z_t + alpha_t d_t,  loss = mean (z'_t[:N] - x_{t+1})^2 over the entries of x that are there
//
// To the gradient comes that of Jacobian matching, if asked for.
#include "matching.hpp"
#include "optimiser.hpp"
#include "outer.hpp"
#include "product.hpp"
#include "shplrnn.hpp"
#include "step.hpp"
#include "unit.hpp"
#include "window.hpp"

namespace chaos {

template <class Real> struct Step {
  Shape shape;
  Parameters<Real> p, gradient;
  Buffers<Real> b;
  const Real *alpha;
  bool gaps;       // whether targets and what forces may have NaN, which then means missing
  double targets;  // entries of x over which the loss is the mean
};

template <class Real> static void pack_weights(const Step<Real> &s) {
  const Index M = s.shape.latent, L = s.shape.hidden;
  pack(s.b.W1, s.p.W1, M, L, L, 1);
  pack(s.b.W2, s.p.W2, L, M, M, 1);
  pack(s.b.W1t, s.p.W1, L, M, 1, L);
  pack(s.b.W2t, s.p.W2, M, L, 1, M);
}

// z~_t into b.forced. Called in both directions: forming it again is cheaper than storing it.
template <class Real> INLINE void forced_state(const Step<Real> &s, Index t) {
  const Shape &h = s.shape;
  if (t == 0) return start(s.b.forced, s.b.seen, h);
  const Real *z = s.b.z + (t - 1) * h.latent * h.lanes, *x = s.b.seen + t * h.observed * h.lanes;
  const Real *alpha = s.alpha + t * h.latent;
  s.gaps ? force<true>(s.b.forced, z, x, alpha, h) : force<false>(s.b.forced, z, x, alpha, h);
}

template <class Real, class Unit> static void forward(const Step<Real> &s, Unit unit) {
  const Shape h = s.shape;
  const Buffers<Real> b = s.b;
  const Real *A = s.p.A, *h1 = s.p.h1, *h2 = s.p.h2;
  for (Index t = 0; t < h.steps; t++) {
    forced_state(s, t);
    Real *u = b.hidden + (b.keep ? t * h.hidden * h.lanes : 0), *z = b.z + t * h.latent * h.lanes;
    multiply<Real>(b.W2, h.hidden, h.latent, b.forced, h.lanes, [&](Index j, Index lane, Vector<Real> sum) {
      if (b.keep) store<Real>(u + j * h.lanes + lane, sum);
      store<Real>(b.clipped + j * h.lanes + lane, clipped(unit, sum, h2[j]));
    });
    multiply<Real>(b.W1, h.latent, h.hidden, b.clipped, h.lanes, [&](Index m, Index lane, Vector<Real> sum) {
      const Index i = m * h.lanes + lane;
      store<Real>(z + i, sum + A[m] * load<Real>(b.forced + i) + h1[m]);
    });
  }
}

// Adds the error of output t to dloss/dz, and the contributions to A and h1. Returns `squares` with the squared errors
// added, spread over a vector. `column` is where step t stands in the rows of the factors. GAPS: no error where the
// target is missing.
template <bool GAPS, class Real>
INLINE Vector<Real> add_error(const Step<Real> &s, Index t, Index column, const Real *live, Vector<Real> squares) {
  const Shape h = s.shape;
  const Buffers<Real> b = s.b;
  const Real *z = b.z + t * h.latent * h.lanes, *target = b.x + (t + 1) * h.observed * h.lanes;
  const Index W = WIDTH<Real>;
  const Real scale = (Real)(2.0 / s.targets);
  for (Index m = 0; m < h.latent; m++) {
    Vector<Real> sum_A = load<Real>(b.sum_A + m * W), sum_h1 = load<Real>(b.sum_h1 + m * W);
    for (Index lane = 0; lane < h.lanes; lane += W) {
      const Index i = m * h.lanes + lane;
      Vector<Real> g = load<Real>(b.carry + i);
      const Vector<Real> before = load<Real>(b.forced + i);
      if (m < h.observed) {
        const Vector<Real> zero = {}, x = load<Real>(target + i), difference = load<Real>(z + i) - x;
        const Vector<Real> counted = GAPS ? x == x ? difference : zero : difference;
        const Vector<Real> error = load<Real>(live + lane) > zero ? counted : zero;
        squares += error * error;
        g += scale * error;
        store<Real>(b.carry + i, g);
      }
      sum_A += g * before, sum_h1 += g;
      store<Real>(b.factor_z + m * b.stride + column + lane, g);
      store<Real>(b.factor_forced + m * b.stride + column + lane, before);
    }
    store<Real>(b.sum_A + m * W, sum_A), store<Real>(b.sum_h1 + m * W, sum_h1);
  }
  return squares;
}

// Through z' = A z~ + W1 a + h1 and a = phi(u + h2) - phi(u): dloss/du into b.clipped, the contribution to h2, the
// factors of the weight gradients.
template <class Real, class Unit>
INLINE void back_through_hidden(const Step<Real> &s, Unit unit, const Real *u, Index column) {
  const Shape h = s.shape;
  const Buffers<Real> b = s.b;
  const Real *h2 = s.p.h2;
  multiply<Real>(b.W1t, h.hidden, h.latent, b.carry, h.lanes, [&](Index j, Index lane, Vector<Real> g) {
    const Passed<Real> passed = back(unit, load<Real>(u + j * h.lanes + lane), h2[j], g);
    store<Real>(b.sum_h2 + j * WIDTH<Real>, load<Real>(b.sum_h2 + j * WIDTH<Real>) + passed.shifted);
    store<Real>(b.clipped + j * h.lanes + lane, passed.difference);
    store<Real>(b.factor_hidden + j * b.stride + column + lane, passed.difference);
    store<Real>(b.factor_clipped + j * b.stride + column + lane, passed.clipped);
  });
}

// dloss/dz_t = (1 - alpha) (A dloss/dz' + W2' dloss/du). A fully forced unit passes nothing on, not even inf. With gaps
// each lane has its own alpha, which is applied afterwards.
template <class Real> INLINE void back_through_state(const Step<Real> &s, Index t) {
  const Shape h = s.shape;
  const Buffers<Real> b = s.b;
  const Real *A = s.p.A, *own = s.alpha + t * h.latent, *alpha = s.gaps ? b.no_forcing : own;
  multiply<Real>(b.W2t, h.latent, h.hidden, b.clipped, h.lanes, [&](Index m, Index lane, Vector<Real> sum) {
    const Index i = m * h.lanes + lane;
    const Real rest = 1 - alpha[m];
    store<Real>(b.next_carry + i, rest == 0 ? Vector<Real>{} : rest * (A[m] * load<Real>(b.carry + i) + sum));
  });
  if (s.gaps) back_through_gaps(b.next_carry, b.seen + t * h.observed * h.lanes, own, h);
}

template <class Real> static void collect_vectors(const Step<Real> &s) {
  for (Index m = 0; m < s.shape.latent; m++) {
    s.gradient.A[m] = lane_sum<Real>(load<Real>(s.b.sum_A + m * WIDTH<Real>));
    s.gradient.h1[m] = lane_sum<Real>(load<Real>(s.b.sum_h1 + m * WIDTH<Real>));
  }
  for (Index j = 0; j < s.shape.hidden; j++)
    s.gradient.h2[j] = lane_sum<Real>(load<Real>(s.b.sum_h2 + j * WIDTH<Real>));
}

template <class Real> static void clear(const Step<Real> &s, Real *live) {
  const Shape &h = s.shape;
  memset(s.gradient.A, 0, s.gradient.count * sizeof(Real));
  memset(s.b.no_forcing, 0, h.latent * sizeof(Real));
  memset(s.b.carry, 0, h.latent * h.lanes * sizeof(Real));
  memset(s.b.sum_A, 0, h.latent * WIDTH<Real> * sizeof(Real));
  memset(s.b.sum_h1, 0, h.latent * WIDTH<Real> * sizeof(Real));
  memset(s.b.sum_h2, 0, h.hidden * WIDTH<Real> * sizeof(Real));
  for (Index lane = 0; lane < h.lanes; lane++) live[lane] = lane < h.batch;
}

template <class Real> INLINE void hidden_again(const Step<Real> &s, Real *u) {
  const Index lanes = s.shape.lanes;
  multiply<Real>(s.b.W2, s.shape.hidden, s.shape.latent, s.b.forced, lanes,
                 [&](Index j, Index lane, Vector<Real> sum) { store<Real>(u + j * lanes + lane, sum); });
}

template <class Real> static void add_weight_gradients(const Step<Real> &s, Index count) {
  const Buffers<Real> &b = s.b;
  const Index M = s.shape.latent, L = s.shape.hidden;
  add_outer<Real>(M, {b.factor_z, b.factor_clipped, b.stride, count, s.gradient.W1, L});
  add_outer<Real>(L, {b.factor_hidden, b.factor_forced, b.stride, count, s.gradient.W2, M});
}

// Fills the gradient, returns the loss.
template <class Real, class Unit> static double backward(Step<Real> &s, Unit unit, const Real *live) {
  const Shape h = s.shape;
  Vector<Real> squares = {};
  Index filled = 0;  // time steps whose factors wait in the buffers
  for (Index t = h.steps - 1; t >= 0; t--) {
    const Index column = filled * h.lanes;
    forced_state(s, t);
    squares = s.gaps ? add_error<true>(s, t, column, live, squares) : add_error<false>(s, t, column, live, squares);
    Real *u = s.b.hidden + (s.b.keep ? t * h.hidden * h.lanes : 0);
    if (!s.b.keep) hidden_again(s, u);
    back_through_hidden(s, unit, u, column);
    if (t > 0) back_through_state(s, t);
    Real *swap = s.b.carry;
    s.b.carry = s.b.next_carry, s.b.next_carry = swap;
    if (++filled == s.b.chunk || t == 0) {
      add_weight_gradients(s, filled * h.lanes);
      filled = 0;
    }
  }
  collect_vectors(s);
  return (double)lane_sum<Real>(squares) / s.targets;
}

INLINE Shape shape_of(const StepArguments &a) {
  return {a.batch, padded(a.batch), a.steps, a.latent, a.hidden, a.observed};
}

// Windows, forward, backward, matching. A batch all of whose targets are missing has loss and gradient zero.
template <class Real, class Unit> static void differentiate(StepArguments &a, Step<Real> &s, Real *live, Unit unit) {
  gather(s.b.x, s.shape, (const Real *)a.series, a.starts);
  if (s.gaps) {
    gather(s.b.seen, s.shape, (const Real *)a.seen, a.starts);
    begin(s.b.seen, s.shape);
    s.targets = (double)present_targets(s.b.x, s.shape);
  } else {
    s.b.seen = s.b.x;
  }
  clear(s, live);
  a.loss = 0, a.penalty = 0;
  if (s.targets > 0) {
    forward(s, unit);
    a.loss = backward(s, unit, live);
  }
  if (a.matched == 0) return;
  Real *rest = live + s.shape.lanes + s.b.used;
  a.penalty = match(Match<Real>{a, s.p, s.gradient, s.b, {rest, a}}, unit);
}

template <class Real> static Index train(StepArguments &a) {
  const Shape shape = shape_of(a);
  if (outside(a)) return WINDOW_OUTSIDE;
  if (points_outside(a)) return POINT_OUTSIDE;
  Real *live = (Real *)a.work, *parameters = (Real *)a.parameters, *gradient = (Real *)a.gradient;
  const double targets = (double)a.steps * (double)a.observed * (double)a.batch;
  Step<Real> s = {shape, {parameters, shape}, {gradient, shape}, {live + shape.lanes, shape}, (const Real *)a.alpha,
                  a.seen != nullptr, targets};
  pack_weights(s);
  const Real square = (Real)(a.smoothing * a.smoothing);  // may vanish in single precision
  if (square > 0)
    differentiate(a, s, live, Smooth<Real>{square});
  else
    differentiate(a, s, live, Rectifier<Real>{});
  a.gradient_norm = clip(gradient, s.p.count, a.optimiser.clip_norm);
  update(parameters, gradient, (Real *)a.first_moment, (Real *)a.second_moment, s.p.count, a.optimiser);
  return DONE;
}

template <class Real> static Index work_elements(const StepArguments &a) {
  const Shape shape = shape_of(a);
  return shape.lanes + Buffers<Real>(nullptr, shape).used + MatchBuffers<Real>(nullptr, a).used;
}

}  // namespace chaos

using chaos::StepArguments;
CHAOS_API int64_t chaos_clipped_shplrnn_step_f32(StepArguments *a) { return chaos::train<float>(*a); }
CHAOS_API int64_t chaos_clipped_shplrnn_step_f64(StepArguments *a) { return chaos::train<double>(*a); }
CHAOS_API int64_t chaos_clipped_shplrnn_work_f32(const StepArguments *a) { return chaos::work_elements<float>(*a); }
CHAOS_API int64_t chaos_clipped_shplrnn_work_f64(const StepArguments *a) { return chaos::work_elements<double>(*a); }
