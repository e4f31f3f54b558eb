// Nearest rows, exactly, and how far paths part. The library lies sorted along its longest axis, in blocks of sixteen
// rows, and is searched outwards from the place of a point until the gap along that axis alone exceeds the distance
// already found. On the attractors of flows that visits 4 to 15 blocks; noise of 10 % in seven dimensions takes a
// hundred. Leaving a block after its first coordinates and blocks of 8 or 32 rows measured no better.
#include "vector.hpp"

// Squares must round as in numpy: a fused multiply-add would order near ties otherwise than the twin does.
#pragma STDC FP_CONTRACT OFF

namespace chaos {

struct SearchArguments {
  Index blocks, dim, points, count;
  Index window;          // rows with |row - own| <= window are skipped; -1 skips none
  double above;          // squares must be larger: 0 leaves out equal states, -1 nothing
  double slack;          // what rounding may add to a gap between places
  const double *states;  // (blocks, dim, LANES) sorted by place; padding is inf
  const double *places;  // (blocks, LANES) along the longest axis, ascending; padding is inf
  const Index *rows;     // (blocks, LANES) the row that each was before sorting
  const double *z;       // (points, dim)
  const double *at;      // (points) their places
  const Index *own;      // (points) their rows, for the window
  double *squares;       // (count) work
  Index *found;          // (points, count) by distance, then row, written; -1 where there is none
};

struct PathArguments {
  Index pairs, steps, dim, rows;
  const double *columns;      // (dim, rows)
  const Index *here, *there;  // (pairs) first rows; steps rows are read from each
  double *squares;            // (pairs, steps) written; NaN where the states are equal
};

constexpr int BLOCK = LANES / WIDTH<double>;
constexpr double SAFE = 1 - 1e-9;  // the sums are rounded as well, by far less than this
// 2 gains a tenth with 30 rows and loses one with noise; no bound at all takes 1.3 (one row) to 1.5 (30) times as long.
constexpr double WIDER = 3;

INLINE bool before(double square, Index row, double other_square, Index other_row) {
  return square < other_square || (square == other_square && row < other_row);
}

// Sorted insertion. Entries not yet filled are (bound, -1), which only squares below the bound can replace.
static void offer(const SearchArguments &a, Index point, Index row, double square) {
  Index *found = a.found + point * a.count, i = a.count - 1;
  const Index apart = row > a.own[point] ? row - a.own[point] : a.own[point] - row;
  if (apart <= a.window || !(square > a.above) || !before(square, row, a.squares[i], found[i])) return;
  for (; i > 0 && before(square, row, a.squares[i - 1], found[i - 1]); i--)
    a.squares[i] = a.squares[i - 1], found[i] = found[i - 1];
  a.squares[i] = square, found[i] = row;
}

INLINE void visit(const SearchArguments &a, Index point, Index block) {
  const double *states = a.states + block * a.dim * LANES, *z = a.z + point * a.dim;
  const double limit = a.squares[a.count - 1];
  Vector<double> sum[BLOCK] = {};
  for (Index d = 0; d < a.dim; d++, states += LANES)
    UNROLL for (int v = 0; v < BLOCK; v++) {
      const Vector<double> gap = load(states + v * WIDTH<double>) - z[d];
      sum[v] += gap * gap;
    }
  auto within = sum[0] <= limit;
  UNROLL for (int v = 1; v < BLOCK; v++) within |= sum[v] <= limit;
  Index any = 0;
  UNROLL for (int i = 0; i < WIDTH<double>; i++) any |= within[i];
  if (!any) return;
  double squares[LANES];
  Index near_lanes[LANES], count = 0;
  UNROLL for (int v = 0; v < BLOCK; v++) store(squares + v * WIDTH<double>, sum[v]);
  for (int i = 0; i < LANES; i++) near_lanes[count] = i, count += squares[i] <= limit;  // no branch to guess wrong
  for (Index i = 0; i < count; i++) offer(a, point, a.rows[block * LANES + near_lanes[i]], squares[near_lanes[i]]);
}

INLINE bool beyond(const SearchArguments &a, double gap) {
  gap -= a.slack;
  return gap > 0 && gap * gap * SAFE > a.squares[a.count - 1];
}

// The last block that begins at or below a place.
static Index block_of(const SearchArguments &a, double place) {
  Index low = 0, high = a.blocks;
  while (high - low > 1) {
    const Index middle = (low + high) / 2;
    if (a.places[middle * LANES] <= place) low = middle;
    else high = middle;
  }
  return low;
}

// All rows whose squares are below `within`, as many as are wanted.
static void look(const SearchArguments &a, Index point, double within) {
  for (Index i = 0; i < a.count; i++) a.squares[i] = within, a.found[point * a.count + i] = -1;
  const double at = a.at[point];
  Index right = block_of(a, at), left = right - 1;
  for (bool more = true; more;) {
    more = false;
    if (right < a.blocks && !beyond(a, a.places[right * LANES] - at)) visit(a, point, right++), more = true;
    if (left >= 0 && !beyond(a, at - a.places[left * LANES + LANES - 1])) visit(a, point, left--), more = true;
  }
}

// The point before, which lies near where points follow a path, tells how far to look; where that was too little, the
// look is repeated without bound.
static void search(const SearchArguments &a) {
  double within = __builtin_inf();
  for (Index point = 0; point < a.points; point++) {
    look(a, point, within);
    if (a.found[point * a.count + a.count - 1] < 0) look(a, point, __builtin_inf());
    within = WIDER * a.squares[a.count - 1];
  }
}

static void paths(const PathArguments &a) {
  for (Index pair = 0; pair < a.pairs; pair++) {
    double *__restrict square = a.squares + pair * a.steps;
    memset(square, 0, a.steps * sizeof(double));
    for (Index d = 0; d < a.dim; d++) {
      const double *here = a.columns + d * a.rows + a.here[pair], *there = a.columns + d * a.rows + a.there[pair];
      for (Index k = 0; k < a.steps; k++) {
        const double gap = here[k] - there[k];
        square[k] += gap * gap;
      }
    }
    for (Index k = 0; k < a.steps; k++) square[k] = square[k] == 0 ? __builtin_nan("") : square[k];
  }
}

}  // namespace chaos

CHAOS_API int64_t chaos_search(const chaos::SearchArguments *a) { return chaos::search(*a), 0; }
CHAOS_API int64_t chaos_search_bytes(void) { return sizeof(chaos::SearchArguments); }
CHAOS_API int64_t chaos_paths(const chaos::PathArguments *a) { return chaos::paths(*a), 0; }
CHAOS_API int64_t chaos_paths_bytes(void) { return sizeof(chaos::PathArguments); }
