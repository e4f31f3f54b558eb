// tanh and the logistic function of a vector, to about an ulp of 1. There is no library to call, and one that takes a
// number at a time would be slower than the products around it.
//
//   tanh(v) = e / (e + 2), e = exp(2 v) - 1;  with y = n ln 2 + r, |r| <= ln 2 / 2:
//   exp(y) - 1 = 2^n (exp(r) - 1) + (2^n - 1), exp(r) - 1 by its series. No digits are lost for small v.
#pragma once
#include "vector.hpp"

namespace chaos {

typedef int32_t IntVector __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef int64_t LongVector __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));

template <class Real> struct Exponent;
// ROUND: adding it leaves the nearest whole number in the last bits. HIGH + LOW = ln 2, products with HIGH being exact.
template <> struct Exponent<float> {
  using Bits = IntVector;
  static constexpr float ROUND = 12582912.0f, HIGH = 0.693359375f, LOW = -2.12194440e-4f, FLAT = 10.0f;
  static constexpr int MANTISSA = 23, BIAS = 127, TERMS = 7;
};
template <> struct Exponent<double> {
  using Bits = LongVector;
  static constexpr double ROUND = 6755399441055744.0, HIGH = 6.93147180369123816490e-01, LOW = 1.90821492927058770002e-10;
  static constexpr double FLAT = 20.0;
  static constexpr int MANTISSA = 52, BIAS = 1023, TERMS = 13;
};

// exp(v) - 1 for |v| <= 2 FLAT.
template <class Real> INLINE Vector<Real> exp_minus_one(Vector<Real> v) {
  using E = Exponent<Real>;
  using Bits = typename E::Bits;
  const Vector<Real> shifted = v * (Real)1.4426950408889634 + E::ROUND, n = shifted - E::ROUND;
  const Vector<Real> r = (v - n * E::HIGH) - n * E::LOW;
  Vector<Real> series = {};
  constexpr Real INVERSE[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880,
                              1.0 / 40320,      1.0 / 5040,      1.0 / 720,      1.0 / 120,     1.0 / 24,
                              1.0 / 6,          0.5,             1.0};
  series += INVERSE[13 - E::TERMS];
  UNROLL for (int k = 14 - E::TERMS; k < 13; k++) series = series * r + INVERSE[k];
  const Bits whole = (Bits)shifted - (Bits)(Vector<Real>{} + E::ROUND);
  const Vector<Real> power = (Vector<Real>)((whole + E::BIAS) << E::MANTISSA);
  return power * (series * r) + (power - 1);
}

template <class Real> INLINE Vector<Real> hyperbolic_tangent(Vector<Real> v) {
  const Vector<Real> top = Vector<Real>{} + Exponent<Real>::FLAT;
  v = v > top ? top : v < -top ? -top : v;
  const Vector<Real> e = exp_minus_one<Real>(v + v);
  return e / (e + 2);
}

template <class Real> INLINE Vector<Real> logistic(Vector<Real> v) {
  return (Real)0.5 + (Real)0.5 * hyperbolic_tangent<Real>((Real)0.5 * v);
}

}  // namespace chaos
