// The hidden unit of shallow networks and its slopes: phi(u + h) with the rectifier, and the clipped a = phi(u + h) -
// phi(u), once for the rectifier phi(v) = max(0, v) and once for the smooth phi(v) = (v + sqrt(v^2 + delta^2)) / 2
// (Barron 2021, arXiv:2112.11687).
//
// Roots and divisions are those of the CPU, rounded as IEEE 754 demands: the approximate instructions are no faster
// once they are corrected, and their bits differ between makers of CPUs.
#pragma once
#include "arguments.hpp"

namespace chaos {

template <class Real> struct Rectifier {
  explicit Rectifier(const StepArguments &) {}
};

template <class Real> struct ClippedRectifier {
  explicit ClippedRectifier(const StepArguments &) {}
};

template <class Real> struct ClippedSmooth {
  Real square;  // delta^2
  explicit ClippedSmooth(const StepArguments &a) : square((Real)(a.smoothing * a.smoothing)) {}
};

// What a unit passes back: g is dloss/da.
template <class Real> struct Passed {
  Vector<Real> value, shifted, difference;  // a; dloss/dh; dloss/du
};

// da/du and what changes it: its derivatives with respect to h and to u.
template <class Real> struct Bend {
  Vector<Real> slope, shifted, bent;
};

// The derivative of relu at 0 is 0, as in torch.
template <class Real> INLINE Vector<Real> value(Rectifier<Real>, Vector<Real> u, Real h) { return relu<Real>(u + h); }

template <class Real> INLINE Passed<Real> back(Rectifier<Real>, Vector<Real> u, Real h, Vector<Real> g) {
  const Vector<Real> zero = {}, v = u + h, on = v > zero ? g : zero;
  return {relu<Real>(v), on, on};
}

template <class Real> INLINE Bend<Real> bend(Rectifier<Real>, Vector<Real> u, Real h) {
  const Vector<Real> zero = {}, one = zero + 1;
  return {u + h > zero ? one : zero, zero, zero};
}

template <class Real> INLINE Vector<Real> value(ClippedRectifier<Real>, Vector<Real> u, Real h) {
  return relu<Real>(u + h) - relu<Real>(u);
}

template <class Real> INLINE Passed<Real> back(ClippedRectifier<Real>, Vector<Real> u, Real h, Vector<Real> g) {
  const Vector<Real> zero = {}, v = u + h, shifted = v > zero ? g : zero;
  return {relu<Real>(v) - relu<Real>(u), shifted, shifted - (u > zero ? g : zero)};
}

template <class Real> INLINE Bend<Real> bend(ClippedRectifier<Real>, Vector<Real> u, Real h) {
  const Vector<Real> zero = {}, one = zero + 1, v = u + h;
  return {(v > zero ? one : zero) - (u > zero ? one : zero), zero, zero};
}

template <class Real> INLINE Vector<Real> value(ClippedSmooth<Real> unit, Vector<Real> u, Real h) {
  const Vector<Real> v = u + h;
  return (Real)0.5 * (h + root<Real>(v * v + unit.square) - root<Real>(u * u + unit.square));
}

// phi'(v) = (1 + v / s) / 2 with s = sqrt(v^2 + delta^2), and t the same of u. One division serves both: 1/s = t/(s t).
template <class Real> INLINE Passed<Real> back(ClippedSmooth<Real> unit, Vector<Real> u, Real h, Vector<Real> g) {
  const Vector<Real> v = u + h, s = root<Real>(v * v + unit.square), t = root<Real>(u * u + unit.square);
  const Vector<Real> half = (Real)0.5 * g, scaled = half / (s * t), shifted = v * t * scaled, plain = u * s * scaled;
  return {(Real)0.5 * (h + s - t), half + shifted, shifted - plain};
}

// phi''(v) = delta^2 / (2 s^3).
template <class Real> INLINE Bend<Real> bend(ClippedSmooth<Real> unit, Vector<Real> u, Real h) {
  const Vector<Real> v = u + h, s2 = v * v + unit.square, t2 = u * u + unit.square;
  const Vector<Real> over_s = (Real)0.5 / root<Real>(s2), over_t = (Real)0.5 / root<Real>(t2);
  const Vector<Real> shifted = unit.square * over_s / s2, plain = unit.square * over_t / t2;
  return {v * over_s - u * over_t, shifted, shifted - plain};
}

}  // namespace chaos
