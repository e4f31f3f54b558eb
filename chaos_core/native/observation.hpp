// How channels are read off the state, x = G z + g, and the state is inferred from them, d = E (x - g), with gradients.
//
//   units    x is the first N units; d = (x, 0)                        nothing to compute, see step.hpp
//   started  x is the first N units; d = (x, L x), L trained
//   linear   x = B z, d = B+ x, B trained; affine: x = B z + b
//
// An entry of x that is missing is taken from the cell's own prediction. So its gradient goes on to the prediction,
// which is the output of the time step before: `fed` waits for it.
#pragma once
#include "inverse.hpp"
#include "window.hpp"

namespace chaos {

template <class Real> struct Observation {
  Shape s;
  Index reading;
  bool gaps;
  Index filled_pairs;                            // columns of the factors of inference
  Real *matrix, *bias;                           // L or B; b
  Real *matrix_gradient, *bias_gradient;
  Real *inverse, *inverse_gradient;              // E
  Real *read, *read_back, *infer_by, *infer_back;  // packed
  Real *filled, *inferred, *pulled, *fed, *error;  // lanes: x - g; d; alpha dloss/dz~; what missing entries feed; e
  Real *factor_error, *factor_state, *factor_inferred, *factor_filled;
  Real *sum_bias;
  InverseBuffers buffers;

  static Index parameters(Index reading, const Shape &s) {
    const Index n = s.observed, m = s.latent;
    return reading == UNITS ? 0 : reading == STARTED ? (m - n) * n : reading == LINEAR ? n * m : n * m + n;
  }

  static Index factor_rows(Index reading, const Shape &s) {
    return (reading == UNITS ? 0 : s.latent + s.observed) + (reading >= LINEAR ? s.latent + s.observed : 0);
  }

  Observation(Index reading, bool gaps, const Shape &s, Real *flat, Real *gradient, Arena<Real> &arena);

  bool infers() const { return reading != UNITS; }
  bool reads() const { return reading >= LINEAR; }

  void begin();                                                    // of an update
  const Real *infer(const Real *seen, const Real *z);              // d; z is the state before it is forced
  void back_through_infer(const Real *alpha, const Real *g, const Real *seen);
  // Error of the prediction of z against a target: adds dloss/dz to g. Returns `squares` with the squared errors added.
  Vector<Real> add_error(const Real *z, const Real *target, const Real *live, Real scale, Index column, Real *g,
                         Vector<Real> squares);
  void add_products(Index count);  // of the factors that wait
  void end();
};

}  // namespace chaos
