// Jacobian matching pulls the Jacobian J of a cell at P of R given points towards given slopes S:
//
//   penalty = weight * mean_r ||J(z_r) - S_r||^2,  E = dpenalty/dJ
//
// The points run along the lanes. Padding lanes repeat the first point; their error is zero.
#pragma once
#include "arguments.hpp"

namespace chaos {

template <class Real> struct Match {
  const StepArguments &a;
  const Index *rows;  // of this update
  Index lanes;

  Match(const StepArguments &a, Index update)
      : a(a), rows(a.match_rows + update * a.matched), lanes(padded(a.matched)) {}

  Index row(Index lane) const { return rows[lane < a.matched ? lane : 0]; }

  void gather(Real *z) const {
    const Real *points = (const Real *)a.match_points;
    for (Index lane = 0; lane < lanes; lane++)
      for (Index m = 0; m < a.state; m++) z[m * lanes + lane] = points[row(lane) * a.state + m];
  }

  // The lanes of J_ik become those of E_ik. Returns the sum of (J_ik - S_ik)^2.
  double turn_into_error(Index i, Index k, Real *entry) const {
    const Real *slopes = (const Real *)a.match_slopes + i * a.state + k;
    const double scale = 2 * a.match_weight / (double)a.matched;
    double squares = 0;
    for (Index lane = 0; lane < lanes; lane++) {
      const Real error = lane < a.matched ? entry[lane] - slopes[row(lane) * a.state * a.state] : 0;
      squares += (double)error * (double)error;
      entry[lane] = error * (Real)scale;
    }
    return squares;
  }

  double penalty(double squares) const { return a.match_weight * squares / (double)a.matched; }
};

}  // namespace chaos
