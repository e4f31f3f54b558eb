// The windows of a batch as lanes, and teacher forcing of the observed units.
#pragma once
#include "vector.hpp"

namespace chaos {

struct Shape {
  Index batch, lanes, steps, latent, hidden, observed;
};

// x[t][n][lane] for t = 0 .. steps. Padding lanes repeat the first window: they must stay finite, and their error is
// set to zero.
template <class Real>
static void gather(Real *x, const Shape &s, const Real *series, const Index *starts) {
  for (Index t = 0; t <= s.steps; t++)
    for (Index lane = 0; lane < s.lanes; lane++) {
      const Real *row = series + (starts[lane < s.batch ? lane : 0] + t) * s.observed;
      for (Index n = 0; n < s.observed; n++) x[(t * s.observed + n) * s.lanes + lane] = row[n];
    }
}

// forced = (1 - alpha) z + alpha d, unit by unit, with d = (x, 0): units beyond the observed ones have the datum zero.
// Full and no forcing copy, so that a state that ran away (inf) cannot reach a forced step as 0 * inf = NaN.
template <class Real>
INLINE void force(Real *forced, const Real *z, const Real *x, const Real *alpha, const Shape &s) {
  for (Index m = 0; m < s.latent; m++) {
    const bool observed = m < s.observed;
    const Real a = alpha[m], rest = 1 - a;
    Real *to = forced + m * s.lanes;
    const Real *from = z + m * s.lanes, *datum = x + m * s.lanes;
    for (Index lane = 0; lane < s.lanes; lane += WIDTH<Real>) {
      const Vector<Real> free = load<Real>(from + lane), d = observed ? load<Real>(datum + lane) : Vector<Real>{};
      store<Real>(to + lane, a == 1 ? d : a == 0 ? free : rest * free + a * d);
    }
  }
}

// The window starts on its first row: z = (x_0, 0).
template <class Real>
INLINE void start(Real *z, const Real *x, const Shape &s) {
  memcpy(z, x, s.observed * s.lanes * sizeof(Real));
  memset(z + s.observed * s.lanes, 0, (s.latent - s.observed) * s.lanes * sizeof(Real));
}

}  // namespace chaos
