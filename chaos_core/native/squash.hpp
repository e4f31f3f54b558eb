// tanh and the logistic function of a vector of doubles; no mathematical library is linked.
//
//   e^y = 2^n e^r with y = n ln 2 + r, |r| <= ln(2) / 2;  e^r = 1 + p by Taylor's series, which to r^13 leaves 4e-18.
#pragma once
#include "tile.hpp"

namespace chaos::run {

struct Power {
  Doubles scale, rest;  // e^y = scale (1 + rest): e^y - 1 = scale rest + (scale - 1) loses no digits
};

// |y| <= 708.
INLINE Power power(Doubles y) {
  constexpr double ROUND = 0x1.8p52;  // its last bits hold the integer nearest to what is added
  constexpr double HIGH = 0x1.62e42feep-1, LOW = 0x1.a39ef35793c76p-33;  // ln 2; n * HIGH is exact
  const Doubles shifted = y * 0x1.71547652b82fep0 + ROUND, n = shifted - ROUND;
  const Doubles r = (y - n * HIGH) - n * LOW, square = r * r;
  // Even and odd powers apart: two short chains in place of a long one.
  Doubles even = square * (1.0 / 87178291200) + 1.0 / 479001600, odd = square * (1.0 / 6227020800) + 1.0 / 39916800;
  even = even * square + 1.0 / 3628800, odd = odd * square + 1.0 / 362880;
  even = even * square + 1.0 / 40320, odd = odd * square + 1.0 / 5040;
  even = even * square + 1.0 / 720, odd = odd * square + 1.0 / 120;
  even = even * square + 1.0 / 24, odd = odd * square + 1.0 / 6;
  even = even * square + 0.5;
  return {(Doubles)(((Integers)shifted + 1023) << 52), r + square * (even + r * odd)};
}

INLINE Doubles magnitude(Doubles x) { return (Doubles)((Integers)x & INT64_MAX); }

// NaN stays NaN.
INLINE Doubles at_most(Doubles x, double most) {
  const Doubles top = Doubles{} + most;
  return x > top ? top : x;
}

// e / (e + 2) with e = e^2|x| - 1; beyond 20 it is 1.
INLINE Doubles tanh(Doubles x) {
  const Power p = power(2 * at_most(magnitude(x), 20));
  const Doubles e = p.scale * p.rest + (p.scale - 1), value = e / (e + 2);
  return (Doubles)((Integers)value | ((Integers)x & INT64_MIN));
}

// With e = e^-|x|, so that a gate that is nearly closed keeps all its digits: it is the slope of what lies behind it.
INLINE Doubles logistic(Doubles x) {
  constexpr double LEAST = -708;
  const Doubles size = -magnitude(x), zero = {}, one = zero + 1, least = zero + LEAST;
  const Power p = power(size < least ? least : size);
  const Doubles e = size < least ? zero : p.scale + p.scale * p.rest;
  return (x < zero ? e : one) / (1 + e);
}

}  // namespace chaos::run
