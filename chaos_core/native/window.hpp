// The windows of a batch as lanes, and teacher forcing. A missing entry of the data is NaN.
#pragma once
#include "arguments.hpp"

namespace chaos {

// to[t][n][lane] of `count` rows from `first` rows behind each start on. Padding lanes repeat the first window: they
// must stay finite, and their error is set to zero.
template <class Real>
static void gather(Real *to, const Real *series, Index width, const Index *starts, Index first, Index count,
                   const Shape &s) {
  for (Index t = 0; t < count; t++)
    for (Index lane = 0; lane < s.lanes; lane++) {
      const Real *row = series + (starts[lane < s.batch ? lane : 0] + first + t) * width;
      for (Index n = 0; n < width; n++) to[(t * width + n) * s.lanes + lane] = row[n];
    }
}

// A window must start somewhere: entries of its first row that nothing is known of become zero, the mean.
template <class Real> static void fill_first_row(Real *seen, const Shape &s) {
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

// Whether a row of alpha leaves the state alone, replaces it, or neither.
enum Reach { FREE, WHOLE, PARTLY };
template <class Real> INLINE Reach reach(const Real *alpha, const Shape &s) {
  Index zeros = 0, ones = 0;
  for (Index m = 0; m < s.state; m++) zeros += alpha[m] == 0, ones += alpha[m] == 1;
  return zeros == s.state ? FREE : ones == s.state ? WHOLE : PARTLY;
}

// forced = (1 - alpha) z + alpha d, unit by unit; d has `known` units, the datum of the others is zero. Full and no
// forcing copy, so that a state that ran away (inf) cannot reach a forced step as 0 * inf = NaN. GAPS: where the datum
// is NaN the unit keeps its own value.
template <bool GAPS, class Real>
INLINE void force(Real *forced, const Real *z, const Real *d, Index known, const Real *alpha, const Shape &s) {
  for (Index m = 0; m < s.state; m++) {
    const Real a = alpha[m], rest = 1 - a;
    Real *to = forced + m * s.lanes;
    const Real *from = z + m * s.lanes, *datum = d + m * s.lanes;
    for (Index lane = 0; lane < s.lanes; lane += WIDTH<Real>) {
      const Vector<Real> free = load<Real>(from + lane), there = m < known ? load<Real>(datum + lane) : Vector<Real>{};
      const Vector<Real> mixed = a == 1 ? there : a == 0 ? free : rest * free + a * there;
      store<Real>(to + lane, GAPS ? there == there ? mixed : free : mixed);
    }
  }
}

// Backward through `force`: g, dloss/dz~, becomes dloss/dz. A fully forced unit passes nothing on, not even inf.
template <bool GAPS, class Real>
INLINE void back_through_force(Real *g, const Real *d, Index known, const Real *alpha, const Shape &s) {
  for (Index m = 0; m < s.state; m++) {
    const Real rest = 1 - alpha[m];
    for (Index lane = 0; lane < s.lanes; lane += WIDTH<Real>) {
      const Index i = m * s.lanes + lane;
      const Vector<Real> free = load<Real>(g + i), there = GAPS && m < known ? load<Real>(d + i) : Vector<Real>{};
      const Vector<Real> mixed = rest == 0 ? Vector<Real>{} : rest * free;
      store<Real>(g + i, GAPS ? there == there ? mixed : free : mixed);
    }
  }
}

// The window starts on its first row: z = (d_0, 0).
template <class Real> INLINE void start(Real *z, const Real *d, Index known, const Shape &s) {
  memcpy(z, d, known * s.lanes * sizeof(Real));
  memset(z + known * s.lanes, 0, (s.state - known) * s.lanes * sizeof(Real));
}

}  // namespace chaos
