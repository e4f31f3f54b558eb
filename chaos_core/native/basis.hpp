// The nonlinearity phi of z' = A z + W phi(z) + h, and the way back through it: with g = dloss/dphi it adds
// phi'(z)' g to dloss/dz, and to the gradients of its own parameters.
//
// A pointwise basis gives phi and the product with its slope vector by vector; the others work on a whole state.
// `slope` is phi' of unit m at v, which is centred if `is_centred`; `back_slope` adds what dloss/dphi' gives to the
// parameters of the basis.
#pragma once
#include "arguments.hpp"

namespace chaos {

// phi' of the rectifier.
template <class Real> INLINE Vector<Real> switched_on(Vector<Real> v) {
  const Vector<Real> zero = {};
  return v > zero ? zero + 1 : zero;
}

template <class Real> struct Rectified {
  static constexpr bool POINTWISE = true, is_centred = false;
  Rectified(const StepArguments &, const Shape &, Real *, Real *, Arena<Real> &) {}
  static Index parameters(const StepArguments &) { return 0; }
  void begin() {}
  void end() {}
  Vector<Real> value(Index, Vector<Real> z) const { return relu<Real>(z); }
  Vector<Real> back(Index, Vector<Real> z, Vector<Real> g) const {
    const Vector<Real> zero = {};
    return z > zero ? g : zero;
  }
  Vector<Real> slope(Index m, Vector<Real> v) const { return back(m, v, Vector<Real>{} + 1); }
  void back_slope(Index, Vector<Real>, Vector<Real>) const {}
};

// The last `inner` units pass through the rectifier, the others as they are.
template <class Real> struct PartlyLinear {
  static constexpr bool POINTWISE = true, is_centred = false;
  Index linear;
  PartlyLinear(const StepArguments &a, const Shape &, Real *, Real *, Arena<Real> &) : linear(a.state - a.inner) {}
  static Index parameters(const StepArguments &) { return 0; }
  void begin() {}
  void end() {}
  Vector<Real> value(Index m, Vector<Real> z) const { return m < linear ? z : relu<Real>(z); }
  Vector<Real> back(Index m, Vector<Real> z, Vector<Real> g) const {
    const Vector<Real> zero = {};
    return m < linear ? g : z > zero ? g : zero;
  }
  Vector<Real> slope(Index m, Vector<Real> v) const { return back(m, v, Vector<Real>{} + 1); }
  void back_slope(Index, Vector<Real>, Vector<Real>) const {}
};

// to = z - mean of the units, for each lane; z itself where it is not centred.
template <class Real> INLINE const Real *centred(Real *to, const Real *z, bool wanted, const Shape &s) {
  if (!wanted) return z;
  const Real share = (Real)1 / (Real)s.state;
  for (Index lane = 0; lane < s.lanes; lane += WIDTH<Real>) {
    Vector<Real> sum = {};
    for (Index m = 0; m < s.state; m++) sum += load<Real>(z + m * s.lanes + lane);
    for (Index m = 0; m < s.state; m++)
      store<Real>(to + m * s.lanes + lane, load<Real>(z + m * s.lanes + lane) - share * sum);
  }
  return to;
}

template <class Real> struct CentredRectified {
  static constexpr bool POINTWISE = false, is_centred = true;
  Shape s;
  Real *inside, *back_inside;
  CentredRectified(const StepArguments &, const Shape &s, Real *, Real *, Arena<Real> &arena)
      : s(s), inside(arena.take(s.state * s.lanes)), back_inside(arena.take(s.state * s.lanes)) {}
  static Index parameters(const StepArguments &) { return 0; }
  void begin() {}
  void end() {}

  // phi(z) of unit m at to + m * stride.
  void values(const Real *z, Real *to, Index stride) const {
    const Real *from = centred(inside, z, true, s);
    for (Index m = 0; m < s.state; m++)
      for (Index lane = 0; lane < s.lanes; lane += WIDTH<Real>)
        store<Real>(to + m * stride + lane, relu<Real>(load<Real>(from + m * s.lanes + lane)));
  }

  void add_back(const Real *z, const Real *g, Real *before) const {
    const Vector<Real> zero = {};
    const Real *from = centred(inside, z, true, s);
    for (Index i = 0; i < s.state * s.lanes; i += WIDTH<Real>)
      store<Real>(back_inside + i, load<Real>(from + i) > zero ? load<Real>(g + i) : zero);
    const Real *through = centred(inside, back_inside, true, s);  // the centring is its own transpose
    for (Index i = 0; i < s.state * s.lanes; i += WIDTH<Real>)
      store<Real>(before + i, load<Real>(before + i) + load<Real>(through + i));
  }

  Vector<Real> slope(Index, Vector<Real> v) const { return switched_on<Real>(v); }
  void back_slope(Index, Vector<Real>, Vector<Real>) const {}
};

// phi_m(z) = sum_b alpha_b (max(0, z_m - H_mb) - [CLIPPED] max(0, z_m)); parameters alpha (B) | H (M, B).
template <class Real, bool CLIPPED> struct Dendrites {
  static constexpr bool POINTWISE = false;
  static constexpr Index W = WIDTH<Real>;
  Shape s;
  bool is_centred;
  Real *alpha, *H, *alpha_gradient, *H_gradient;
  Real *inside, *back_inside;
  Real *sum_alpha, *sum_H;  // gradients, still spread over the lanes of one vector

  Dendrites(const StepArguments &a, const Shape &s, Real *flat, Real *gradient, Arena<Real> &arena)
      : s(s), is_centred(a.centred), alpha(flat), H(flat + s.inner), alpha_gradient(gradient),
        H_gradient(gradient + s.inner), inside(arena.take(s.state * s.lanes)),
        back_inside(arena.take(s.state * s.lanes)),
        sum_alpha(arena.take(s.inner * W)), sum_H(arena.take(s.state * s.inner * W)) {}
  static Index parameters(const StepArguments &a) { return a.inner + a.state * a.inner; }

  void begin() {
    memset(sum_alpha, 0, s.inner * W * sizeof(Real));
    memset(sum_H, 0, s.state * s.inner * W * sizeof(Real));
  }

  void values(const Real *z, Real *to, Index stride) const {
    const Dendrites d = *this;
    const Index B = d.s.inner, lanes = d.s.lanes;
    const Real *from = centred(d.inside, z, d.is_centred, d.s);
    for (Index m = 0; m < d.s.state; m++)
      for (Index lane = 0; lane < lanes; lane += W) {
        const Vector<Real> at = load<Real>(from + m * lanes + lane), flat = CLIPPED ? relu<Real>(at) : Vector<Real>{};
        Vector<Real> sum[2] = {};
        for (Index b = 0; b < B; b++) {
          const Vector<Real> bent = relu<Real>(at - d.H[m * B + b]);
          sum[b & 1] += d.alpha[b] * (CLIPPED ? bent - flat : bent);
        }
        store<Real>(to + m * stride + lane, sum[0] + sum[1]);
      }
  }

  void add_back(const Real *z, const Real *g, Real *before) const {
    const Dendrites d = *this;
    const Index B = d.s.inner, lanes = d.s.lanes;
    const Vector<Real> zero = {};
    const Real *from = centred(d.inside, z, d.is_centred, d.s);
    for (Index m = 0; m < d.s.state; m++)
      for (Index lane = 0; lane < lanes; lane += W) {
        const Vector<Real> at = load<Real>(from + m * lanes + lane), flat = CLIPPED ? relu<Real>(at) : Vector<Real>{};
        const Vector<Real> out = load<Real>(g + m * lanes + lane);
        Vector<Real> slope = {};
        for (Index b = 0; b < B; b++) {
          const Vector<Real> over = at - d.H[m * B + b], bent = relu<Real>(over);
          const Vector<Real> on = over > zero ? zero + d.alpha[b] : zero;
          Real *to_alpha = d.sum_alpha + b * W, *to_H = d.sum_H + (m * B + b) * W;
          slope += CLIPPED ? on - (at > zero ? zero + d.alpha[b] : zero) : on;
          store<Real>(to_alpha, load<Real>(to_alpha) + out * (CLIPPED ? bent - flat : bent));
          store<Real>(to_H, load<Real>(to_H) - out * on);
        }
        store<Real>(d.back_inside + m * lanes + lane, slope * out);
      }
    const Real *through = centred(d.inside, d.back_inside, d.is_centred, d.s);
    for (Index i = 0; i < d.s.state * lanes; i += W)
      store<Real>(before + i, load<Real>(before + i) + load<Real>(through + i));
  }

  Vector<Real> slope(Index m, Vector<Real> v) const {
    Vector<Real> sum = {};
    for (Index b = 0; b < s.inner; b++) sum += alpha[b] * on(m, b, v);
    return sum;
  }

  void back_slope(Index m, Vector<Real> v, Vector<Real> g) {
    for (Index b = 0; b < s.inner; b++) alpha_gradient[b] += lane_sum<Real>(g * on(m, b, v));
  }

  // The slope of branch b of unit m, without alpha.
  Vector<Real> on(Index m, Index b, Vector<Real> v) const {
    const Vector<Real> over = switched_on<Real>(v - H[m * s.inner + b]);
    return CLIPPED ? over - switched_on<Real>(v) : over;
  }

  void end() {
    for (Index b = 0; b < s.inner; b++) alpha_gradient[b] += lane_sum<Real>(load<Real>(sum_alpha + b * W));
    for (Index i = 0; i < s.state * s.inner; i++) H_gradient[i] += lane_sum<Real>(load<Real>(sum_H + i * W));
  }
};

}  // namespace chaos
