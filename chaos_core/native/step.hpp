// The arguments of a whole training step, the same for every cell. kernels/fused.py has the same fields in this order.
#pragma once
#include "optimiser.hpp"

namespace chaos {

struct StepArguments {
  Index rows, batch, steps, latent, hidden, observed;
  Index points, matched;                          // Jacobian matching: given points, and how many of them are used
  OptimiserSettings optimiser;
  double smoothing;                               // delta of the hidden units, 0: rectifier
  double match_weight;                            // of the mean squared distance of the Jacobians
  double loss, penalty, gradient_norm;            // written
  const void *series;                             // (rows, observed)
  const void *seen;                               // what may force the state, where `series` may have NaN; else null
  const Index *starts;                            // (batch,) first row of each window of steps + 1 rows
  const void *alpha;                              // (steps, latent)
  const void *match_points, *match_slopes;        // (points, latent), (points, latent, latent)
  const Index *match_rows;                        // (matched,) which of them
  void *parameters, *gradient, *first_moment, *second_moment;  // flat
  void *work;                                     // as many elements as ..._work_... tells
};

enum Result : Index { DONE = 0, WINDOW_OUTSIDE = 1, POINT_OUTSIDE = 2 };

INLINE bool outside(const StepArguments &a) {
  for (Index i = 0; i < a.batch; i++)
    if (a.starts[i] < 0 || a.starts[i] > a.rows - 1 - a.steps) return true;
  return false;
}

INLINE bool points_outside(const StepArguments &a) {
  for (Index i = 0; i < a.matched; i++)
    if (a.match_rows[i] < 0 || a.match_rows[i] >= a.points) return true;
  return false;
}

}  // namespace chaos
