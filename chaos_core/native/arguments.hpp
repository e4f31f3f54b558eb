// The arguments of whole training steps, the same for every cell. native/arguments.py has the same fields in this
// order.
#pragma once
#include "optimiser.hpp"

namespace chaos {

// How channels are read off the state and the state is inferred from channels: see observation.hpp.
enum Reading : Index { UNITS = 0, STARTED = 1, LINEAR = 2, AFFINE = 3 };

// What pulls parameters begin .. begin + count - 1 towards a target: weight times their squared distances, their
// absolute distances, or the root of their squared distances.
enum Form : Index { SQUARES = 0, ABSOLUTE = 1, ROOT = 2 };
struct Pull {
  Index begin, count, form;
  double target, weight;
};

// Parameters that are kept within +-largest after each update.
struct Limit {
  Index begin, count;
  double largest;
};

struct StepArguments {
  Index rows, batch, steps, latent, state, inner, observed, inputs;
  Index reading, centred, updates;
  Index points, matched;        // Jacobian matching: given points, and how many of them an update looks at
  Index pull_count, limit_count;
  OptimiserSettings optimiser;  // `iteration` is that of the first update
  double smoothing;             // delta of the hidden units, 0: rectifier
  double match_weight;          // of the mean squared distance of the Jacobians
  Index done;                   // written: updates made; fewer than asked for where one was not finite
  const void *series;           // (rows, observed)
  const void *seen;             // what may force the state, where `series` may have NaN; else null
  const void *drives;           // (rows, inputs) external inputs
  const Index *starts;          // (updates, batch) first row of each window of steps + 1 rows
  const void *masks;            // (some, steps, state) masks of the forcing
  const Index *mask_of;         // (updates,) which of them
  const double *rates;          // (updates,) learning rates
  const void *match_points, *match_slopes;  // (points, latent), (points, latent, latent)
  const Index *match_rows;                  // (updates, matched) which of them
  const Pull *pulls;
  const Limit *limits;
  double *losses, *penalties, *norms;  // (updates,) written: squared error; all that is added to it; of the gradient
  void *parameters, *gradient, *first_moment, *second_moment;  // flat
  void *work;                          // as many elements as ..._work_... tells
};

enum Result : Index { DONE = 0, WINDOW_OUTSIDE = 1, POINT_OUTSIDE = 2, UNMATCHED = 3 };

INLINE bool windows_outside(const StepArguments &a) {
  for (Index i = 0; i < a.updates * a.batch; i++)
    if (a.starts[i] < 0 || a.starts[i] > a.rows - 1 - a.steps) return true;
  return false;
}

INLINE bool points_outside(const StepArguments &a) {
  for (Index i = 0; i < a.updates * a.matched; i++)
    if (a.match_rows[i] < 0 || a.match_rows[i] >= a.points) return true;
  return false;
}

// Sizes, and how many time steps of factors (see outer.hpp) are kept until they are multiplied.
struct Shape {
  Index batch, lanes, steps, latent, state, inner, observed, inputs;
  Index chunk, stride;  // time steps; length of a factor's row
};

// `factor_rows` rows of factors stay within about half a MiB, but cover at least 512 pairs of lane and time.
INLINE Shape shape_of(const StepArguments &a, Index factor_rows) {
  Shape s = {a.batch, padded(a.batch), a.steps, a.latent, a.state, a.inner, a.observed, a.inputs, 0, 0};
  Index chunk = 131072 / factor_rows / s.lanes;
  if (chunk < 512 / s.lanes) chunk = 512 / s.lanes;
  s.chunk = chunk < 1 ? 1 : chunk > s.steps ? s.steps : chunk;
  s.stride = s.chunk * s.lanes + 16;  // + 16: rows exactly a power of two apart would fall on the same cache lines
  return s;
}

}  // namespace chaos
