// Products for one state at a time. There is no batch to fill the vectors with, so they run along the units (of a
// state) or along the columns (tangent vectors), and no product needs a sum across a vector.
//
// `chaos::run` holds what free runs and their exponents share: names of its own, since templates of the training steps
// that were called the same would silently be merged with these by the linker.
#pragma once
#include "vector.hpp"

namespace chaos::run {

using Doubles = Vector<double>;
typedef int64_t Integers __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
constexpr Index SPAN = WIDTH<double>;
constexpr int TALLEST = 6;  // rows of a tile: 6 x 2 sums, two operands and a factor fit into 16 registers

// Rows are read and written as whole vectors, and so long.
INLINE Index whole(Index count) { return (count + SPAN - 1) / SPAN * SPAN; }
INLINE Doubles at(const double *from, Index vector) { return load<double>(from + vector * SPAN); }
INLINE void put(double *to, Index vector, Doubles value) { store<double>(to + vector * SPAN, value); }

INLINE void fill(double *to, double value, Index count) {
  for (Index i = 0; i < count; i++) to[i] = value;
}

// What becomes of the sum over k of left[k, i] * right[k, c], for rows i and columns c in whole vectors.
enum Way {
  SET,     // to = sum
  ADD,     // to += sum
  CHOSEN,  // to += sum over the k of a list, each times a factor
};

struct Product {
  double *to;
  Index to_row;
  const double *left;
  Index left_k;
  const double *right;
  Index right_k;
  Index rows, count, columns;
  const Index *list = nullptr;     // (count,) the k of CHOSEN
  const double *factor = nullptr;  // and factor[k]
};

// A multiply-add takes four cycles and two start in each, so at least eight sums must be under way: where a tile has
// fewer, k is split over several sets of sums.
template <Way WAY, int ROWS, int VECTORS> INLINE void tile(const Product p, Index row, Index column) {
  constexpr int CHAINS = ROWS * VECTORS, SETS = CHAINS >= 6 ? 1 : CHAINS >= 4 ? 2 : CHAINS >= 2 ? 4 : 8;
  const double *left = p.left + row, *right = p.right + column;
  double *to = p.to + row * p.to_row + column;
  Doubles sum[SETS][ROWS][VECTORS] = {};
  const auto add = [&](Doubles(&part)[ROWS][VECTORS], Index k) __attribute__((always_inline)) {
    if (WAY == CHOSEN) k = p.list[k];
    Doubles operand[VECTORS];
    UNROLL for (int v = 0; v < VECTORS; v++) operand[v] = at(right + k * p.right_k, v);
    if (WAY == CHOSEN)
      UNROLL for (int v = 0; v < VECTORS; v++) operand[v] *= p.factor[k];
    UNROLL for (int i = 0; i < ROWS; i++)
      UNROLL for (int v = 0; v < VECTORS; v++) part[i][v] += left[k * p.left_k + i] * operand[v];
  };
  Index k = 0;
  for (; k + SETS <= p.count; k += SETS)
    UNROLL for (int s = 0; s < SETS; s++) add(sum[s], k + s);
  for (; k < p.count; k++) add(sum[0], k);
  UNROLL for (int i = 0; i < ROWS; i++)
    UNROLL for (int v = 0; v < VECTORS; v++) {
      Doubles total = sum[0][i][v];
      UNROLL for (int s = 1; s < SETS; s++) total += sum[s][i][v];
      if (WAY != SET) total += at(to + i * p.to_row, v);
      put(to + i * p.to_row, v, total);
    }
}

// Picks the instance for a number of rows known only at run time.
template <Way WAY, int ROWS, int VECTORS> INLINE void pick(const Product &p, Index rows, Index row, Index column) {
  if (rows == ROWS) return tile<WAY, ROWS, VECTORS>(p, row, column);
  if constexpr (ROWS > 1) pick<WAY, ROWS - 1, VECTORS>(p, rows, row, column);
}

// Rows are cut evenly: 20 rows with at most 6 a tile are 4 x 5, not 3 x 6 + 2.
template <Way WAY, int VECTORS> INLINE void tiles(const Product &p, Index column) {
  const Index blocks = (p.rows + TALLEST - 1) / TALLEST;
  for (Index block = 0, row = 0; block < blocks; block++) {
    const Index end = p.rows * (block + 1) / blocks;
    pick<WAY, TALLEST, VECTORS>(p, end - row, row, column);
    row = end;
  }
}

template <Way WAY> static void multiply(const Product &p) {
  Index column = 0;
  for (; column + 2 * SPAN <= p.columns; column += 2 * SPAN) tiles<WAY, 2>(p, column);
  if (column < p.columns) tiles<WAY, 1>(p, column);
}

template <Way WAY, int VECTORS> INLINE void rest(const Product &p, Index column) {
  if (p.columns - column == VECTORS * SPAN) return tile<WAY, 1, VECTORS>(p, 0, column);
  if constexpr (VECTORS > 1) rest<WAY, VECTORS - 1>(p, column);
}

// With a single row a tile may be eight vectors long.
template <Way WAY> INLINE void add_rows(const Product &p) {
  Index column = 0;
  for (; column + 8 * SPAN <= p.columns; column += 8 * SPAN) tile<WAY, 1, 8>(p, 0, column);
  rest<WAY, 7>(p, column);
}

// to[c] += sum_k factor[k] * right[k, c]. Not inlined: copies in each loop were a third of the library, and no faster.
static __attribute__((noinline)) void add_rows(double *to, const double *factor, const double *right, Index count,
                                               Index columns) {
  add_rows<ADD>({to, 0, factor, 1, right, columns, 1, count, columns});
}

// to[k, i] = from[i, k] for (rows, columns) parameters; rows of `to` are `row` long and zero beyond.
static void transpose(double *to, const double *from, Index rows, Index columns, Index row) {
  for (Index k = 0; k < columns; k++) {
    fill(to + k * row, 0, row);
    for (Index i = 0; i < rows; i++) to[k * row + i] = from[i * columns + k];
  }
}

// to = from, zero beyond.
INLINE void widen(double *to, const double *from, Index count, Index row) {
  fill(to, 0, row);
  for (Index i = 0; i < count; i++) to[i] = from[i];
}

}  // namespace chaos::run
