// The clipped hidden unit a = phi(u + h) - phi(u) and its slopes, once for the rectifier phi(v) = max(0, v) and once
// for the smooth phi(v) = (v + sqrt(v^2 + delta^2)) / 2 (Barron 2021, arXiv:2112.11687).
//
// Roots and divisions are those of the CPU, rounded as IEEE 754 demands: the approximate instructions are no faster
// once they are corrected, and their bits differ between makers of CPUs.
#pragma once
#include "vector.hpp"

namespace chaos {

template <class Real> struct Rectifier {};

template <class Real> struct Smooth {
  Real square;  // delta^2
};

// What a unit passes back: g is dloss/da.
template <class Real> struct Passed {
  Vector<Real> clipped, shifted, difference;  // a; g phi'(u + h); g (phi'(u + h) - phi'(u))
};

// da/du and what changes it: its derivatives with respect to h and to u are phi''(u + h) and bent.
template <class Real> struct Bend {
  Vector<Real> slope, shifted, bent;  // phi'(u + h) - phi'(u); phi''(u + h); phi''(u + h) - phi''(u)
};

template <class Real> INLINE Vector<Real> clipped(Rectifier<Real>, Vector<Real> u, Real h) {
  return relu<Real>(u + h) - relu<Real>(u);
}

// The derivative of relu at 0 is 0, as in torch.
template <class Real> INLINE Passed<Real> back(Rectifier<Real>, Vector<Real> u, Real h, Vector<Real> g) {
  const Vector<Real> zero = {}, v = u + h, shifted = v > zero ? g : zero;
  return {relu<Real>(v) - relu<Real>(u), shifted, shifted - (u > zero ? g : zero)};
}

template <class Real> INLINE Bend<Real> bend(Rectifier<Real>, Vector<Real> u, Real h) {
  const Vector<Real> zero = {}, one = zero + 1, v = u + h;
  return {(v > zero ? one : zero) - (u > zero ? one : zero), zero, zero};
}

template <class Real> INLINE Vector<Real> clipped(Smooth<Real> unit, Vector<Real> u, Real h) {
  const Vector<Real> v = u + h;
  return (Real)0.5 * (h + root<Real>(v * v + unit.square) - root<Real>(u * u + unit.square));
}

// phi'(v) = (1 + v / s) / 2 with s = sqrt(v^2 + delta^2), and t the same of u. One division serves both: 1/s = t/(s t).
template <class Real> INLINE Passed<Real> back(Smooth<Real> unit, Vector<Real> u, Real h, Vector<Real> g) {
  const Vector<Real> v = u + h, s = root<Real>(v * v + unit.square), t = root<Real>(u * u + unit.square);
  const Vector<Real> half = (Real)0.5 * g, scaled = half / (s * t), shifted = v * t * scaled, plain = u * s * scaled;
  return {(Real)0.5 * (h + s - t), half + shifted, shifted - plain};
}

// phi''(v) = delta^2 / (2 s^3).
template <class Real> INLINE Bend<Real> bend(Smooth<Real> unit, Vector<Real> u, Real h) {
  const Vector<Real> v = u + h, s2 = v * v + unit.square, t2 = u * u + unit.square;
  const Vector<Real> over_s = (Real)0.5 / root<Real>(s2), over_t = (Real)0.5 / root<Real>(t2);
  const Vector<Real> shifted = unit.square * over_s / s2, plain = unit.square * over_t / t2;
  return {v * over_s - u * over_t, shifted, shifted - plain};
}

}  // namespace chaos
