// Weight gradients: gradient[i][j] += sum_s left[i][s] * right[j][s], where s runs over the (time, lane) pairs of a chunk.
//
// Adding an outer product in each time step would stream the whole gradient through the registers T times. Instead the factors of
// some hundred (time, lane) pairs are kept in a buffer that stays in the L2 cache and multiplied at once, tile by tile; the pairs
// run along the vector and are summed across it once per tile.
#pragma once
#include "vector.hpp"

namespace chaos {

template <class Real, int ROWS, int COLUMNS>
static void outer_tile(const Real *left, const Real *right, Index stride, Index count, Real *gradient, Index row_stride) {
  constexpr int W = WIDTH<Real>;
  Vector<Real> sum[ROWS][COLUMNS] = {};
  for (Index s = 0; s < count; s += W) {
    Vector<Real> column[COLUMNS];
    UNROLL for (int j = 0; j < COLUMNS; j++) column[j] = load<Real>(right + j * stride + s);
    UNROLL for (int i = 0; i < ROWS; i++) {
      const Vector<Real> row = load<Real>(left + i * stride + s);
      UNROLL for (int j = 0; j < COLUMNS; j++) sum[i][j] += row * column[j];
    }
  }
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < COLUMNS; j++) gradient[i * row_stride + j] += lane_sum<Real>(sum[i][j]);
}

// Picks the instance for the tiles at the right and lower edge, which are smaller than the others.
template <class Real, int ROWS, int COLUMNS>
INLINE void edge_tile(Index rows, Index columns, const Real *left, const Real *right, Index stride, Index count, Real *gradient, Index row_stride) {
  if (rows == ROWS && columns == COLUMNS) return outer_tile<Real, ROWS, COLUMNS>(left, right, stride, count, gradient, row_stride);
  if constexpr (ROWS > 1) if (rows < ROWS) return edge_tile<Real, ROWS - 1, COLUMNS>(rows, columns, left, right, stride, count, gradient, row_stride);
  if constexpr (COLUMNS > 1) edge_tile<Real, ROWS, COLUMNS - 1>(rows, columns, left, right, stride, count, gradient, row_stride);
}

// `count` (time, lane) pairs; both factors are stored [row][pair] with the same stride.
template <class Real>
static void add_outer(const Real *left, Index rows, const Real *right, Index columns, Index stride, Index count, Real *gradient) {
  for (Index i = 0; i < rows; i += TILE_ROWS)
    for (Index j = 0; j < columns; j += TILE_COLUMNS) {
      const Index r = rows - i < TILE_ROWS ? rows - i : TILE_ROWS, c = columns - j < TILE_COLUMNS ? columns - j : TILE_COLUMNS;
      edge_tile<Real, TILE_ROWS, TILE_COLUMNS>(r, c, left + i * stride, right + j * stride, stride, count, gradient + i * columns + j, columns);
    }
}

}  // namespace chaos
