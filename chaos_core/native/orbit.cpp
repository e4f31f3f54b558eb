// Free runs in float64: many steps of one start after the other. A value that is not finite stays visible, and nothing
// stops early.
#include "maps.hpp"

namespace chaos::run {

// native/orbit.py has the same fields in this order.
struct OrbitArguments {
  Cell cell;
  Index starts, steps, drive;
  const double *z0;  // (starts, N)
  const double *s;   // (starts, steps, drive) what external inputs add to the bias, or null
  double *z;         // (starts, steps, N), written
  double *work;      // null: the number of doubles that is needed is returned, and nothing else is done
};

template <class Map> static int64_t orbit(const OrbitArguments &a) {
  Arena<double> arena = {a.work, 0};
  Map map;
  map.set(a.cell, arena);
  const Index N = Map::states(a.cell), row = state_row(N);
  double *here = arena.take(row), *next = arena.take(row);
  if (!a.work) return arena.used;
  for (Index start = 0; start < a.starts; start++) {
    double *z = a.z + start * a.steps * N;
    const double *s = a.s ? a.s + start * a.steps * a.drive : nullptr;
    widen(here, a.z0 + start * N, N, row);
    fill(next, 0, row);
    for (Index t = 0; t < a.steps; t++, z += N) {
      map.step(here, s ? s + t * a.drive : nullptr, next);
      for (Index i = 0; i < N; i++) z[i] = next[i];
      double *last = here;
      here = next, next = last;
    }
  }
  return 0;
}

#define RUN(KIND, MAP) \
  CHAOS_API int64_t chaos_##KIND##_orbit(const OrbitArguments *a) { return orbit<MAP>(*a); }

CHAOS_MAPS(RUN)

CHAOS_API int64_t chaos_clipped_shplrnn_orbit(const OrbitArguments *a) {
  return is_smooth(a->cell) ? orbit<Shallow<Smooth>>(*a) : orbit<Shallow<Clipped>>(*a);
}
CHAOS_API int64_t chaos_orbit_bytes(void) { return sizeof(OrbitArguments); }

}  // namespace chaos::run
