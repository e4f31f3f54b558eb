// External inputs: the drive s_t = C u_{t+1} that a cell adds to its bias in step t, and the gradient of C.
#pragma once
#include "outer.hpp"
#include "product.hpp"
#include "window.hpp"

namespace chaos {

template <class Real> struct Inputs {
  Shape s;
  Index width;  // of the drive
  Real *matrix, *gradient;
  Real *packed, *u, *drive, *factor;  // C; u_1 .. u_T and the drive as lanes; u among the pairs

  static Index factor_rows(const Shape &s) { return s.inputs; }

  Inputs(const Shape &s, Index width, Real *flat, Real *gradient, Arena<Real> &arena)
      : s(s), width(width), matrix(flat), gradient(gradient) {
    if (!s.inputs) return;
    packed = arena.take(width * s.inputs), u = arena.take(s.steps * s.inputs * s.lanes);
    drive = arena.take(width * s.lanes), factor = arena.take(s.inputs * s.stride);
  }

  Index parameters() const { return width * s.inputs; }

  void begin(const void *drives, const Index *starts) {
    if (!s.inputs) return;
    pack(packed, matrix, width, s.inputs, s.inputs, 1);
    gather(u, (const Real *)drives, s.inputs, starts, 1, s.steps, s);
  }

  // The drive of step t; null where there is none.
  const Real *at(Index t) {
    if (!s.inputs) return nullptr;
    const Real *row = u + t * s.inputs * s.lanes;
    multiply<Real>(packed, width, s.inputs, row, s.lanes, [&](Index i, Index lane, Vector<Real> sum) {
      store<Real>(drive + i * s.lanes + lane, sum);
    });
    return drive;
  }

  void keep(Index t, Index column) {
    if (s.inputs) keep_factor(factor, u + t * s.inputs * s.lanes, s.inputs, s.lanes, s.stride, column);
  }

  // `pulled`: factor rows with the gradient of the bias.
  void add_products(const Real *pulled, Index count) {
    if (s.inputs) add_outer<Real>(width, {pulled, factor, s.stride, count, gradient, s.inputs});
  }
};

// A bias with the drive of one unit and vector of lanes.
template <class Real> INLINE Vector<Real> shifted(Real bias, const Real *drive, Index i) {
  return drive ? bias + load<Real>(drive + i) : bias + Vector<Real>{};
}

}  // namespace chaos
