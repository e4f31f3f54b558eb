// tanh and the logistic function of a vector. No mathematical library is linked, and one that takes a number at a time
// would be slower than the products around it. Both keep their digits where they are small: the slope of what lies
// behind a gate that is nearly closed is the gate.
//
//   e^y = 2^n e^r with y = n ln 2 + r, |r| <= ln(2) / 2;  e^r = 1 + p by Taylor's series
#pragma once
#include "vector.hpp"

namespace chaos {

typedef int32_t IntVector __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef int64_t LongVector __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));

// ROUND: its last bits hold the integer nearest to what is added. HIGH + LOW = ln 2, n * HIGH being exact. SERIES:
// terms, of which the rest is below rounding. LEAST: e^LEAST is still a normal number.
template <class Real> struct Format;
template <> struct Format<float> {
  using Bits = IntVector;
  static constexpr float ROUND = 0x1.8p23f, HIGH = 0x1.63p-1f, LOW = -0x1.bd0106p-13f, LEAST = -87, FLAT = 10;
  static constexpr int MANTISSA = 23, BIAS = 127, SERIES = 7;
  static constexpr int32_t SIGN = INT32_MIN;
};
template <> struct Format<double> {
  using Bits = LongVector;
  static constexpr double ROUND = 0x1.8p52, HIGH = 0x1.62e42feep-1, LOW = 0x1.a39ef35793c76p-33;
  static constexpr double LEAST = -708, FLAT = 20;
  static constexpr int MANTISSA = 52, BIAS = 1023, SERIES = 14;
  static constexpr int64_t SIGN = INT64_MIN;
};

template <class Real> struct Power {
  Vector<Real> scale, rest;  // e^y = scale (1 + rest): e^y - 1 = scale rest + (scale - 1) loses no digits
};

// LEAST <= y <= -LEAST.
template <class Real> INLINE Power<Real> power(Vector<Real> y) {
  using F = Format<Real>;
  using Bits = typename F::Bits;
  constexpr double INVERSE[] = {1.0 / 87178291200, 1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
                                1.0 / 362880,      1.0 / 40320,      1.0 / 5040,      1.0 / 720,      1.0 / 120,
                                1.0 / 24,          1.0 / 6,          0.5};
  const Vector<Real> shifted = y * (Real)0x1.71547652b82fep0 + F::ROUND, n = shifted - F::ROUND;
  const Vector<Real> r = (y - n * F::HIGH) - n * F::LOW, square = r * r;
  // Even and odd powers apart: two short chains in place of a long one.
  constexpr int FIRST = 14 - F::SERIES;
  Vector<Real> last = Vector<Real>{} + (Real)INVERSE[FIRST], other = Vector<Real>{} + (Real)INVERSE[FIRST + 1];
  UNROLL for (int k = FIRST + 2; k < 13; k += 2) {
    last = last * square + (Real)INVERSE[k];
    if (k + 1 < 13) other = other * square + (Real)INVERSE[k + 1];
  }
  const Vector<Real> even = FIRST % 2 ? other : last, odd = FIRST % 2 ? last : other;
  return {(Vector<Real>)(((Bits)shifted + F::BIAS) << F::MANTISSA), r + square * (even + r * odd)};
}

template <class Real> INLINE Vector<Real> magnitude(Vector<Real> v) {
  using Bits = typename Format<Real>::Bits;
  return (Vector<Real>)((Bits)v & ~Format<Real>::SIGN);
}

// e / (e + 2) with e = e^2|v| - 1; beyond FLAT it is 1. NaN stays NaN.
template <class Real> INLINE Vector<Real> hyperbolic_tangent(Vector<Real> v) {
  using Bits = typename Format<Real>::Bits;
  const Vector<Real> size = magnitude<Real>(v), top = Vector<Real>{} + Format<Real>::FLAT;
  const Power<Real> p = power<Real>((Real)2 * (size > top ? top : size));
  const Vector<Real> e = p.scale * p.rest + (p.scale - 1), value = e / (e + 2);
  return (Vector<Real>)((Bits)value | ((Bits)v & Format<Real>::SIGN));
}

// 1 / (1 + e) or e / (1 + e) with e = e^-|v|.
template <class Real> INLINE Vector<Real> logistic(Vector<Real> v) {
  const Vector<Real> size = -magnitude<Real>(v), zero = {}, one = zero + 1, least = zero + Format<Real>::LEAST;
  const Power<Real> p = power<Real>(size < least ? least : size);
  const Vector<Real> e = size < least ? zero : p.scale + p.scale * p.rest;
  return (v < zero ? e : one) / (1 + e);
}

}  // namespace chaos
