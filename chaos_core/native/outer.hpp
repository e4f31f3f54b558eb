// Weight gradients: gradient[i][j] += sum_s left[i][s] * right[j][s], s running over the (time, lane) pairs of a chunk.
//
// Adding an outer product in each time step would stream the whole gradient through the registers T times. Instead the
// factors of some hundred pairs are kept in a buffer that stays in the L2 cache and multiplied at once, tile by tile;
// the pairs run along the vector and are summed across it once per tile.
#pragma once
#include "vector.hpp"

namespace chaos {

// Both factors are [row][pair], rows `stride` apart; count pairs; a row of the gradient has `width` elements.
template <class Real> struct Factors {
  const Real *left, *right;
  Index stride, count;
  Real *gradient;
  Index width;
};

template <class Real, int ROWS, int COLUMNS> static void outer_tile(const Factors<Real> f) {
  constexpr int W = WIDTH<Real>;
  Vector<Real> sum[ROWS][COLUMNS] = {};
  for (Index s = 0; s < f.count; s += W) {
    Vector<Real> column[COLUMNS];
    UNROLL for (int j = 0; j < COLUMNS; j++) column[j] = load<Real>(f.right + j * f.stride + s);
    UNROLL for (int i = 0; i < ROWS; i++) {
      const Vector<Real> row = load<Real>(f.left + i * f.stride + s);
      UNROLL for (int j = 0; j < COLUMNS; j++) sum[i][j] += row * column[j];
    }
  }
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < COLUMNS; j++) f.gradient[i * f.width + j] += lane_sum<Real>(sum[i][j]);
}

// Picks the instance for a tile; those at the right and lower edge are smaller than the others.
template <class Real, int ROWS, int COLUMNS> INLINE void pick_tile(Index rows, Index columns, const Factors<Real> &f) {
  if (rows == ROWS && columns == COLUMNS) return outer_tile<Real, ROWS, COLUMNS>(f);
  if constexpr (ROWS > 1)
    if (rows < ROWS) return pick_tile<Real, ROWS - 1, COLUMNS>(rows, columns, f);
  if constexpr (COLUMNS > 1) pick_tile<Real, ROWS, COLUMNS - 1>(rows, columns, f);
}

INLINE Index smaller(Index a, Index b) { return a < b ? a : b; }

// f.left has `rows` rows, f.right has f.width rows.
template <class Real> static void add_outer(Index rows, const Factors<Real> &f) {
  for (Index i = 0; i < rows; i += TILE_ROWS)
    for (Index j = 0; j < f.width; j += TILE_COLUMNS) {
      const Real *left = f.left + i * f.stride, *right = f.right + j * f.stride;
      const Factors<Real> tile = {left, right, f.stride, f.count, f.gradient + i * f.width + j, f.width};
      pick_tile<Real, TILE_ROWS, TILE_COLUMNS>(smaller(rows - i, TILE_ROWS), smaller(f.width - j, TILE_COLUMNS), tile);
    }
}

// gradient[i] += sum_s left[i][s] * right[i][s], of a diagonal matrix, or += sum_s left[i][s], of a bias. Four sums are
// under way at a time, since each addition waits for the one before it.
template <bool BIAS, class Real>
static void add_rows(Index rows, const Real *left, const Real *right, Index stride, Index count, Real *gradient) {
  constexpr Index W = WIDTH<Real>;
  for (Index i = 0; i < rows; i++) {
    const Real *l = left + i * stride, *r = right + i * stride;
    Vector<Real> sum[4] = {};
    Index s = 0;
    for (; s + 4 * W <= count; s += 4 * W)
      UNROLL for (int k = 0; k < 4; k++) {
        const Vector<Real> factor = load<Real>(l + s + k * W);
        sum[k] += BIAS ? factor : factor * load<Real>(r + s + k * W);
      }
    for (; s < count; s += W) sum[0] += BIAS ? load<Real>(l + s) : load<Real>(l + s) * load<Real>(r + s);
    gradient[i] += lane_sum<Real>((sum[0] + sum[1]) + (sum[2] + sum[3]));
  }
}

template <class Real>
static void add_dots(Index rows, const Real *left, const Real *right, Index stride, Index count, Real *gradient) {
  add_rows<false, Real>(rows, left, right, stride, count, gradient);
}

template <class Real> static void add_sums(Index rows, const Real *left, Index stride, Index count, Real *gradient) {
  add_rows<true, Real>(rows, left, left, stride, count, gradient);
}

// A row of a factor: copies the lanes of `units` units to their place among the pairs.
template <class Real>
INLINE void keep_factor(Real *factor, const Real *from, Index units, Index lanes, Index stride, Index column) {
  for (Index m = 0; m < units; m++)
    for (Index lane = 0; lane < lanes; lane += WIDTH<Real>)
      store<Real>(factor + m * stride + column + lane, load<Real>(from + m * lanes + lane));
}

}  // namespace chaos
