// One whole training step of the clipped shallow PLRNN with identity observation, in one call from Python:
// gather the windows, run forward, mean squared error, run backward, clip, update.
//
//   u = W2 z~,  a = relu(u + h2) - relu(u),  z' = A z~ + W1 a + h1          (Hess et al. 2023, arXiv:2306.04406)
//   z~_t = (1 - alpha_t) z_t + alpha_t d_t,  loss = mean (z'_t[:N] - x_{t+1})^2
//
// Flat parameters: A (M) | W1 (M, L) | W2 (L, M) | h1 (M) | h2 (L). Arrays in time are [t][unit][lane], see vector.hpp.
#include "optimiser.hpp"
#include "outer.hpp"
#include "product.hpp"
#include "step.hpp"
#include "window.hpp"

namespace chaos {

// Up to this many latent units it is cheaper to compute the hidden layer again in the backward run than to load it.
constexpr Index RECOMPUTE_UP_TO = 8;

template <class Real> struct Parameters {
  Real *A, *W1, *W2, *h1, *h2;
  Index count;
  Parameters(Real *flat, const Shape &s) {
    const Index M = s.latent, L = s.hidden;
    A = flat, W1 = A + M, W2 = W1 + M * L, h1 = W2 + L * M, h2 = h1 + M;
    count = 2 * M + 2 * M * L + L;
  }
};

// Everything a step needs beside its arguments, cut out of one block of memory that the caller owns and reuses.
template <class Real> struct Buffers {
  Index chunk, stride;                      // time steps per product of weight gradients; length of a factor's row
  bool keep;                                // hidden layer stored for all t
  Real *x, *z, *hidden, *clipped, *forced;  // windows; states z_1 .. z_T; u; a; z~
  Real *carry, *next_carry;                 // dloss/dz of the step at hand and of the one before it
  Real *factor_z, *factor_forced, *factor_clipped, *factor_hidden;  // factors of the weight gradients, [unit][pair]
  Real *sum_A, *sum_h1, *sum_h2;            // gradients of the vectors, still spread over the lanes of one vector
  Real *W1, *W2, *W1t, *W2t;                // packed weights and their transposes
  Index used;

  Buffers(Real *memory, const Shape &s) {
    const Index M = s.latent, L = s.hidden, state = M * s.lanes, W = WIDTH<Real>;
    chunk = steps_per_chunk(s, 2 * (M + L));
    stride = chunk * s.lanes + 16;  // + 16: rows exactly a power of two apart would fall on the same cache lines
    keep = M > RECOMPUTE_UP_TO;
    Arena<Real> arena{memory, 0};
    x = arena.take((s.steps + 1) * s.observed * s.lanes), z = arena.take(s.steps * state);
    hidden = arena.take((keep ? s.steps : 1) * L * s.lanes), clipped = arena.take(L * s.lanes);
    forced = arena.take(state), carry = arena.take(state), next_carry = arena.take(state);
    factor_z = arena.take(M * stride), factor_forced = arena.take(M * stride);
    factor_clipped = arena.take(L * stride), factor_hidden = arena.take(L * stride);
    sum_A = arena.take(M * W), sum_h1 = arena.take(M * W), sum_h2 = arena.take(L * W);
    W1 = arena.take(M * L), W2 = arena.take(L * M), W1t = arena.take(L * M), W2t = arena.take(M * L);
    used = arena.used;
  }

  // The gradient factors (`rows` of them per pair) stay within about half a MiB, but cover at least 512 pairs.
  static Index steps_per_chunk(const Shape &s, Index rows) {
    Index steps = 131072 / rows / s.lanes;
    if (steps < 512 / s.lanes) steps = 512 / s.lanes;
    return steps < 1 ? 1 : steps > s.steps ? s.steps : steps;
  }
};

template <class Real> struct Step {
  Shape shape;
  Parameters<Real> p, gradient;
  Buffers<Real> b;
  const Real *alpha;
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
  if (t == 0) return start(s.b.forced, s.b.x, h);
  force(s.b.forced, s.b.z + (t - 1) * h.latent * h.lanes, s.b.x + t * h.observed * h.lanes, s.alpha + t * h.latent, h);
}

template <class Real> static void forward(const Step<Real> &s) {
  const Shape h = s.shape;
  const Buffers<Real> b = s.b;
  const Real *A = s.p.A, *h1 = s.p.h1, *h2 = s.p.h2;
  for (Index t = 0; t < h.steps; t++) {
    forced_state(s, t);
    Real *u = b.hidden + (b.keep ? t * h.hidden * h.lanes : 0), *z = b.z + t * h.latent * h.lanes;
    multiply<Real>(b.W2, h.hidden, h.latent, b.forced, h.lanes, [&](Index j, Index lane, Vector<Real> sum) {
      if (b.keep) store<Real>(u + j * h.lanes + lane, sum);
      store<Real>(b.clipped + j * h.lanes + lane, relu<Real>(sum + h2[j]) - relu<Real>(sum));
    });
    multiply<Real>(b.W1, h.latent, h.hidden, b.clipped, h.lanes, [&](Index m, Index lane, Vector<Real> sum) {
      const Index i = m * h.lanes + lane;
      store<Real>(z + i, sum + A[m] * load<Real>(b.forced + i) + h1[m]);
    });
  }
}

// Adds the error of output t to dloss/dz, and the contributions to A and h1. Returns `squares` with the squared errors
// added, spread over a vector. `column` is where step t stands in the rows of the factors.
template <class Real>
INLINE Vector<Real> add_error(const Step<Real> &s, Index t, Index column, const Real *live, Vector<Real> squares) {
  const Shape h = s.shape;
  const Buffers<Real> b = s.b;
  const Real *z = b.z + t * h.latent * h.lanes, *target = b.x + (t + 1) * h.observed * h.lanes;
  const Index W = WIDTH<Real>;
  const Real scale = (Real)(2.0 / ((double)h.steps * (double)h.observed * (double)h.batch));
  for (Index m = 0; m < h.latent; m++) {
    Vector<Real> sum_A = load<Real>(b.sum_A + m * W), sum_h1 = load<Real>(b.sum_h1 + m * W);
    for (Index lane = 0; lane < h.lanes; lane += W) {
      const Index i = m * h.lanes + lane;
      Vector<Real> g = load<Real>(b.carry + i);
      const Vector<Real> before = load<Real>(b.forced + i);
      if (m < h.observed) {
        const Vector<Real> zero = {}, difference = load<Real>(z + i) - load<Real>(target + i);
        const Vector<Real> error = load<Real>(live + lane) > zero ? difference : zero;
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

// Through z' = A z~ + W1 a + h1 and a = relu(u + h2) - relu(u): dloss/du into b.clipped, the contribution to h2, the
// factors of the weight gradients. The derivative of relu at 0 is 0, as in torch.
template <class Real> INLINE void back_through_hidden(const Step<Real> &s, const Real *u, Index column) {
  const Shape h = s.shape;
  const Buffers<Real> b = s.b;
  const Real *h2 = s.p.h2;
  multiply<Real>(b.W1t, h.hidden, h.latent, b.carry, h.lanes, [&](Index j, Index lane, Vector<Real> g) {
    const Vector<Real> zero = {}, plain = load<Real>(u + j * h.lanes + lane), shifted = plain + h2[j];
    const Vector<Real> shifted_part = shifted > zero ? g : zero, difference = shifted_part - (plain > zero ? g : zero);
    store<Real>(b.sum_h2 + j * WIDTH<Real>, load<Real>(b.sum_h2 + j * WIDTH<Real>) + shifted_part);
    store<Real>(b.clipped + j * h.lanes + lane, difference);
    store<Real>(b.factor_hidden + j * b.stride + column + lane, difference);
    store<Real>(b.factor_clipped + j * b.stride + column + lane, relu<Real>(shifted) - relu<Real>(plain));
  });
}

// dloss/dz_t = (1 - alpha) (A dloss/dz' + W2' dloss/du). A fully forced unit passes nothing on, not even inf.
template <class Real> INLINE void back_through_state(const Step<Real> &s, Index t) {
  const Shape h = s.shape;
  const Buffers<Real> b = s.b;
  const Real *A = s.p.A, *alpha = s.alpha + t * h.latent;
  multiply<Real>(b.W2t, h.latent, h.hidden, b.clipped, h.lanes, [&](Index m, Index lane, Vector<Real> sum) {
    const Index i = m * h.lanes + lane;
    const Real rest = 1 - alpha[m];
    store<Real>(b.next_carry + i, rest == 0 ? Vector<Real>{} : rest * (A[m] * load<Real>(b.carry + i) + sum));
  });
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
template <class Real> static double backward(Step<Real> &s, Real *live) {
  const Shape h = s.shape;
  clear(s, live);
  Vector<Real> squares = {};
  Index filled = 0;  // time steps whose factors wait in the buffers
  for (Index t = h.steps - 1; t >= 0; t--) {
    const Index column = filled * h.lanes;
    forced_state(s, t);
    squares = add_error(s, t, column, live, squares);
    Real *u = s.b.hidden + (s.b.keep ? t * h.hidden * h.lanes : 0);
    if (!s.b.keep) hidden_again(s, u);
    back_through_hidden(s, u, column);
    if (t > 0) back_through_state(s, t);
    Real *swap = s.b.carry;
    s.b.carry = s.b.next_carry, s.b.next_carry = swap;
    if (++filled == s.b.chunk || t == 0) {
      add_weight_gradients(s, filled * h.lanes);
      filled = 0;
    }
  }
  collect_vectors(s);
  return (double)lane_sum<Real>(squares) / ((double)h.steps * (double)h.observed * (double)h.batch);
}

template <class Real> static Index train(StepArguments &a) {
  const Shape shape = {a.batch, padded(a.batch), a.steps, a.latent, a.hidden, a.observed};
  if (outside(a)) return WINDOW_OUTSIDE;
  Real *live = (Real *)a.work, *parameters = (Real *)a.parameters, *gradient = (Real *)a.gradient;
  Step<Real> s = {shape, {parameters, shape}, {gradient, shape}, {live + shape.lanes, shape}, (const Real *)a.alpha};
  pack_weights(s);
  gather(s.b.x, shape, (const Real *)a.series, a.starts);
  forward(s);
  a.loss = backward(s, live);
  a.gradient_norm = clip(gradient, s.p.count, a.optimiser.clip_norm);
  update(parameters, gradient, (Real *)a.first_moment, (Real *)a.second_moment, s.p.count, a.optimiser);
  return DONE;
}

template <class Real> static Index work_elements(const StepArguments &a) {
  const Shape shape = {a.batch, padded(a.batch), a.steps, a.latent, a.hidden, a.observed};
  return shape.lanes + Buffers<Real>(nullptr, shape).used;
}

}  // namespace chaos

using chaos::StepArguments;
CHAOS_API int64_t chaos_clipped_shplrnn_step_f32(StepArguments *a) { return chaos::train<float>(*a); }
CHAOS_API int64_t chaos_clipped_shplrnn_step_f64(StepArguments *a) { return chaos::train<double>(*a); }
CHAOS_API int64_t chaos_clipped_shplrnn_work_f32(const StepArguments *a) { return chaos::work_elements<float>(*a); }
CHAOS_API int64_t chaos_clipped_shplrnn_work_f64(const StepArguments *a) { return chaos::work_elements<double>(*a); }
