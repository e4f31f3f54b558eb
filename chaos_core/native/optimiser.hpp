// Clipping by the gradient norm and Adam, AdamW, RAdam on one flat buffer, with the meaning of torch.optim and of
// torch.nn.utils.clip_grad_norm_: the same constants and bias corrections, so that both paths train the same way.
#pragma once
#include "vector.hpp"

namespace chaos {

enum Optimiser : Index { NO_UPDATE = 0, ADAM = 1, ADAMW = 2, RADAM = 3 };

struct OptimiserSettings {
  Index kind, iteration;  // iteration counts from 1
  double learning_rate, beta1, beta2, epsilon, weight_decay, clip_norm;
};

INLINE double power(double base, Index exponent) {
  double result = 1;
  for (; exponent > 0; exponent >>= 1, base *= base)
    if (exponent & 1) result *= base;
  return result;
}

INLINE float square_root(float value) { return __builtin_sqrtf(value); }
INLINE double square_root(double value) { return __builtin_sqrt(value); }

template <class Real> static double norm(const Real *gradient, Index count) {
  double part[8] = {}, sum = 0;  // 8 fixed partial sums: the compiler may vectorise them without changing any result
  Index i = 0;
  for (; i + 8 <= count; i += 8)
    for (int j = 0; j < 8; j++) part[j] += (double)gradient[i + j] * (double)gradient[i + j];
  for (; i < count; i++) sum += (double)gradient[i] * (double)gradient[i];
  for (int j = 0; j < 8; j++) sum += part[j];
  return square_root(sum);
}

// Returns the norm before clipping. A norm of NaN must spoil the gradient, hence the negated comparison.
template <class Real> static double clip(Real *gradient, Index count, double largest) {
  const double length = norm(gradient, count);
  if (largest > 0) {
    const double factor = largest / (length + 1e-6);
    if (!(factor >= 1))
      for (Index i = 0; i < count; i++) gradient[i] *= (Real)factor;
  }
  return length;
}

// What all of them reduce to: g += decay * parameter; parameter = keep * parameter - step * m / (sqrt(v) + epsilon).
// Where it is not adaptive the denominator is left out.
struct Scheme {
  double keep, decay, step, epsilon;
  bool adaptive;
};

// Rectification of RAdam: Liu et al. 2020, arXiv:1908.03265. Plain momentum while rho <= 5.
INLINE void rectify(Scheme &s, const OptimiserSettings &o, double power2, double correction2) {
  const double limit = 2 / (1 - o.beta2) - 1, rho = limit - 2 * (double)o.iteration * power2 / correction2;
  s.adaptive = rho > 5;
  if (!s.adaptive) return;
  s.step *= square_root((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)) * square_root(correction2);
}

INLINE Scheme scheme(const OptimiserSettings &o) {
  const double power2 = power(o.beta2, o.iteration), correction2 = 1 - power2;
  Scheme s = {1, o.weight_decay, o.learning_rate / (1 - power(o.beta1, o.iteration)), o.epsilon, true};
  if (o.kind == ADAMW) s.keep = 1 - o.learning_rate * o.weight_decay, s.decay = 0;
  if (o.kind == RADAM) return rectify(s, o, power2, correction2), s;
  // epsilon stands beside the corrected root in Adam, beside the plain one in RAdam
  s.step *= square_root(correction2);
  s.epsilon *= square_root(correction2);
  return s;
}

template <class Real>
static void optimise(Real *__restrict parameter, const Real *__restrict gradient, Real *__restrict first,
                   Real *__restrict second, Index count, const OptimiserSettings &o) {
  if (o.kind == NO_UPDATE) return;
  const Scheme s = scheme(o);
  // 1 - beta is formed in double: 1 - 0.999f is wrong in the 5th digit.
  const Real beta1 = (Real)o.beta1, beta2 = (Real)o.beta2, rest1 = (Real)(1 - o.beta1), rest2 = (Real)(1 - o.beta2);
  const Real keep = (Real)s.keep, decay = (Real)s.decay, step = (Real)s.step, epsilon = (Real)s.epsilon;
  for (Index i = 0; i < count; i++) {
    const Real g = gradient[i] + decay * parameter[i];
    first[i] = beta1 * first[i] + rest1 * g;
    second[i] = beta2 * second[i] + rest2 * g * g;
    const Real move = s.adaptive ? first[i] / (square_root(second[i]) + epsilon) : first[i];
    parameter[i] = keep * parameter[i] - step * move;
  }
}

}  // namespace chaos
