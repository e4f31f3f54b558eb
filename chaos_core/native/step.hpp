// The arguments of a whole training step, the same for every cell. kernels/fused.py has the same fields in this order.
#pragma once
#include "optimiser.hpp"

namespace chaos {

struct StepArguments {
  Index rows, batch, steps, latent, hidden, observed;
  OptimiserSettings optimiser;
  double loss, gradient_norm;                     // written
  const void *series;                             // (rows, observed)
  const Index *starts;                            // (batch,) first row of each window of steps + 1 rows
  const void *alpha;                              // (steps, latent)
  void *parameters, *gradient, *first_moment, *second_moment;  // flat
  void *work;                                     // as many elements as ..._work_... tells
};

enum Result : Index { DONE = 0, WINDOW_OUTSIDE = 1 };

INLINE bool outside(const StepArguments &a) {
  for (Index i = 0; i < a.batch; i++)
    if (a.starts[i] < 0 || a.starts[i] > a.rows - 1 - a.steps) return true;
  return false;
}

}  // namespace chaos
