// Terms of the parameters alone, and bounds on them.
#pragma once
#include "arguments.hpp"

namespace chaos {

// Adds the gradients of all pulls, returns their sum.
template <class Real> static double add_pulls(const StepArguments &a, const Real *parameters, Real *gradient) {
  double whole = 0;
  for (Index k = 0; k < a.pull_count; k++) {
    const Pull p = a.pulls[k];
    double squares = 0, distances = 0;
    for (Index i = p.begin; i < p.begin + p.count; i++) {
      const double away = (double)parameters[i] - p.target;
      squares += away * away, distances += away < 0 ? -away : away;
    }
    const double root = square_root(squares);
    whole += p.weight * (p.form == SQUARES ? squares : p.form == ABSOLUTE ? distances : root);
    for (Index i = p.begin; i < p.begin + p.count; i++) {
      const double away = (double)parameters[i] - p.target, sign = away > 0 ? 1 : away < 0 ? -1 : away;
      const double slope = p.form == SQUARES ? 2 * away : p.form == ABSOLUTE ? sign : root == 0 ? 0 : away / root;
      gradient[i] += (Real)(p.weight * slope);
    }
  }
  return whole;
}

template <class Real> static void keep_limits(const StepArguments &a, Real *parameters) {
  for (Index k = 0; k < a.limit_count; k++) {
    const Limit &limit = a.limits[k];
    const Real largest = (Real)limit.largest;
    for (Index i = limit.begin; i < limit.begin + limit.count; i++)
      parameters[i] = parameters[i] > largest ? largest : parameters[i] < -largest ? -largest : parameters[i];
  }
}

}  // namespace chaos
