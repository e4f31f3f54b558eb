// The windows of a batch as lanes, and teacher forcing of the observed units. A missing entry of the data is NaN.
#pragma once
#include "vector.hpp"

namespace chaos {

struct Shape {
  Index batch, lanes, steps, latent, hidden, observed;
};

// x[t][n][lane] for t = 0 .. steps. Padding lanes repeat the first window: they must stay finite, and their error is set
// to zero.
template <class Real> static void gather(Real *x, const Shape &s, const Real *series, const Index *starts) {
  for (Index t = 0; t <= s.steps; t++)
    for (Index lane = 0; lane < s.lanes; lane++) {
      const Real *row = series + (starts[lane < s.batch ? lane : 0] + t) * s.observed;
      for (Index n = 0; n < s.observed; n++) x[(t * s.observed + n) * s.lanes + lane] = row[n];
    }
}

// A window must start somewhere: entries of its first row that nothing is known of become zero, the mean.
template <class Real> static void begin(Real *seen, const Shape &s) {
  for (Index i = 0; i < s.observed * s.lanes; i++)
    if (seen[i] != seen[i]) seen[i] = 0;
}

// How many entries of x are targets and there.
template <class Real> static Index present_targets(const Real *x, const Shape &s) {
  Index count = 0;
  for (Index row = s.observed; row < (s.steps + 1) * s.observed; row++)
    for (Index lane = 0; lane < s.batch; lane++) count += x[row * s.lanes + lane] == x[row * s.lanes + lane];
  return count;
}

// forced = (1 - alpha) z + alpha d, unit by unit, with d = (x, 0): units beyond the observed ones have the datum zero.
// Full and no forcing copy, so that a state that ran away (inf) cannot reach a forced step as 0 * inf = NaN.
// GAPS: where the datum is NaN the unit keeps its own value.
template <bool GAPS, class Real>
INLINE void force(Real *forced, const Real *z, const Real *x, const Real *alpha, const Shape &s) {
  for (Index m = 0; m < s.latent; m++) {
    const bool observed = m < s.observed;
    const Real a = alpha[m], rest = 1 - a;
    Real *to = forced + m * s.lanes;
    const Real *from = z + m * s.lanes, *datum = x + m * s.lanes;
    for (Index lane = 0; lane < s.lanes; lane += WIDTH<Real>) {
      const Vector<Real> free = load<Real>(from + lane), d = observed ? load<Real>(datum + lane) : Vector<Real>{};
      const Vector<Real> mixed = a == 1 ? d : a == 0 ? free : rest * free + a * d;
      store<Real>(to + lane, GAPS ? d == d ? mixed : free : mixed);
    }
  }
}

// Backward through `force`: g, dloss/dz~, becomes dloss/dz. A fully forced unit passes nothing on, not even inf.
template <class Real> INLINE void back_through_gaps(Real *g, const Real *x, const Real *alpha, const Shape &s) {
  for (Index m = 0; m < s.latent; m++) {
    const Real rest = 1 - alpha[m];
    for (Index lane = 0; lane < s.lanes; lane += WIDTH<Real>) {
      const Index i = m * s.lanes + lane;
      const Vector<Real> free = load<Real>(g + i), d = m < s.observed ? load<Real>(x + i) : Vector<Real>{};
      const Vector<Real> mixed = rest == 0 ? Vector<Real>{} : rest * free;
      store<Real>(g + i, d == d ? mixed : free);
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
