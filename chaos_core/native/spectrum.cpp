// Lyapunov exponents of a free run: a frame of tangent vectors is pushed along and made orthonormal again every few
// steps. What a direction was stretched by in all is returned as a product, whose logarithm the caller takes.
#include "frame.hpp"
#include "maps.hpp"

namespace chaos::run {

// native/spectrum.py has the same fields in this order.
struct SpectrumArguments {
  Cell cell;
  Index starts, steps, every;
  double limit;                   // a larger entry has left all bounds
  double *z;                      // (starts, N), moved on
  double *frames;                 // (starts, N, N), moved on; columns are the directions
  double *mantissas, *exponents;  // (starts, N) written: the product of |R_ii| over all decompositions
  uint8_t *inside;                // (starts,) cleared for a run that leaves all bounds, which is then done with
  double *work;                   // null: the number of doubles that is needed is returned, and nothing else is done
};

template <class Map> struct Walk {
  Map map;
  Frame frame;
  Index N, row;
  double *here, *next;

  Walk(const Cell &cell, Arena<double> &arena) {
    map.set(cell, arena);
    N = Map::states(cell), row = state_row(N);
    frame.set(N, arena);
    here = arena.take(row), next = arena.take(row);
  }

  bool within(const double *z, double limit) const {
    bool all = true;
    for (Index i = 0; i < N; i++) all &= __builtin_fabs(z[i]) <= limit;  // NaN is beyond
    return all;
  }

  // Whether the state stays within the limit and the frame finite.
  bool go(Index steps, Index every, double limit, Lengths lengths) {
    if (!within(here, limit)) return false;
    for (Index t = 1, since = 0; t <= steps; t++) {
      double *last = here;
      map.step(here, nullptr, next);
      here = next, next = last;
      if (!within(here, limit)) return false;
      map.tangent(frame.q, frame.next);
      last = frame.q, frame.q = frame.next, frame.next = last;
      if (++since < every && t < steps) continue;
      if (!frame.finite()) return false;
      frame.orthonormalise(lengths);
      since = 0;
    }
    return true;
  }
};

template <class Map> static void walk(const SpectrumArguments &a, Index start) {
  Arena<double> arena = {a.work, 0};
  Walk<Map> walk(a.cell, arena);  // anew for each start: a run that breaks leaves nothing behind
  const Index N = walk.N;
  double *z = a.z + start * N, *frame = a.frames + start * N * N;
  widen(walk.here, z, N, walk.row);
  fill(walk.next, 0, walk.row);
  walk.frame.read(frame);
  a.inside[start] = walk.go(a.steps, a.every, a.limit, {a.mantissas + start * N, a.exponents + start * N});
  for (Index i = 0; i < N; i++) z[i] = walk.here[i];
  walk.frame.write(frame);
}

template <class Map> static int64_t spectrum(const SpectrumArguments &a) {
  if (!a.work) {
    Arena<double> arena = {nullptr, 0};
    Walk<Map> counted(a.cell, arena);
    return arena.used;
  }
  const Index numbers = a.starts * Map::states(a.cell);
  fill(a.mantissas, 1, numbers);
  fill(a.exponents, 0, numbers);
  for (Index start = 0; start < a.starts; start++)
    if (a.inside[start]) walk<Map>(a, start);
  return 0;
}

#define SPECTRUM(KIND, MAP) \
  CHAOS_API int64_t chaos_##KIND##_spectrum(const SpectrumArguments *a) { return spectrum<MAP>(*a); }

CHAOS_MAPS(SPECTRUM)

CHAOS_API int64_t chaos_clipped_shplrnn_spectrum(const SpectrumArguments *a) {
  return is_smooth(a->cell) ? spectrum<Shallow<Smooth>>(*a) : spectrum<Shallow<Clipped>>(*a);
}
CHAOS_API int64_t chaos_spectrum_bytes(void) { return sizeof(SpectrumArguments); }

}  // namespace chaos::run
