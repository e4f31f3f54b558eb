// Small matrix times lanes: out[row][lane] = sum_k weight[row][k] * in[k][lane], the inner loop of every time step.
//
// A library call per time step costs more than the product itself (16 x 20 x 20 runs at a tenth of the peak), so the
// product is inlined into the time loop and blocked for registers: a block of rows x lanes is summed in registers over
// all k, and each result vector goes straight to a function of the caller, which adds the bias, applies the
// nonlinearity and stores: no second pass over memory.
#pragma once
#include "vector.hpp"

namespace chaos {

// Rows are cut into equal blocks: 50 rows with at most 12 a block make 5 blocks of 10, not 4 of 12 and one of 2.
INLINE Index block_count(Index rows) { return (rows + BLOCK_ROWS - 1) / BLOCK_ROWS; }
INLINE Index block_start(Index rows, Index blocks, Index block) { return rows * block / blocks; }

// Reorders a matrix with elements source[row * row_stride + k * column_stride] so that a block reads it in one straight
// line: block after block, in a block k after k, for each k the rows. Done once per training step.
template <class Real>
static void pack(Real *packed, const Real *source, Index rows, Index inner, Index row_stride, Index column_stride) {
  const Index blocks = block_count(rows);
  for (Index block = 0; block < blocks; block++) {
    const Index first = block_start(rows, blocks, block), last = block_start(rows, blocks, block + 1);
    for (Index k = 0; k < inner; k++)
      for (Index row = first; row < last; row++) *packed++ = source[row * row_stride + k * column_stride];
  }
}

// One block of rows of a packed matrix, from `row` on, and the lanes it is multiplied with, from `lane` on.
template <class Real> struct Block {
  const Real *weight;
  Index inner;
  const Real *in;
  Index lanes, row, lane;
};

// One register block: ROWS rows, BLOCK_VECTORS vectors of lanes. With few rows there would be fewer independent sums
// than the latency of a multiply-add needs, so k is split over SPLIT sets of sums.
template <class Real, int ROWS, class Result> INLINE void multiply_block(const Block<Real> b, Result &&result) {
  constexpr int VECTORS = BLOCK_VECTORS<Real>, CHAINS = ROWS * VECTORS, SPLIT = CHAINS <= 3 ? 4 : CHAINS <= 6 ? 2 : 1;
  Vector<Real> sum[SPLIT][ROWS][VECTORS] = {};
  Index k = 0;
  for (; k + SPLIT <= b.inner; k += SPLIT)
    UNROLL for (int s = 0; s < SPLIT; s++) {
      Vector<Real> operand[VECTORS];
      UNROLL for (int v = 0; v < VECTORS; v++) operand[v] = load<Real>(b.in + (k + s) * b.lanes + v * WIDTH<Real>);
      UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int v = 0; v < VECTORS; v++) sum[s][i][v] += b.weight[(k + s) * ROWS + i] * operand[v];
    }
  for (; k < b.inner; k++)  // what SPLIT leaves over
    UNROLL for (int i = 0; i < ROWS; i++)
      UNROLL for (int v = 0; v < VECTORS; v++)
        sum[0][i][v] += b.weight[k * ROWS + i] * load<Real>(b.in + k * b.lanes + v * WIDTH<Real>);
  UNROLL for (int i = 0; i < ROWS; i++)
    UNROLL for (int v = 0; v < VECTORS; v++) {
      Vector<Real> total = sum[0][i][v];
      UNROLL for (int s = 1; s < SPLIT; s++) total += sum[s][i][v];
      result(b.row + i, b.lane + v * WIDTH<Real>, total);
    }
}

// Picks the instance of multiply_block for a number of rows known only at run time.
template <class Real, int ROWS, class Result>
INLINE void pick_block(Index rows, const Block<Real> &block, Result &&result) {
  if (rows == ROWS) return multiply_block<Real, ROWS>(block, result);
  if constexpr (ROWS > 1) pick_block<Real, ROWS - 1>(rows, block, result);
}

// result(row, lane, vector) is called once for each row and each vector of lanes; `packed` comes from pack().
template <class Real, class Result>
INLINE void multiply(const Real *packed, Index rows, Index inner, const Real *in, Index lanes, Result &&result) {
  const Index blocks = block_count(rows);
  for (Index lane = 0; lane < lanes; lane += BLOCK_VECTORS<Real> * WIDTH<Real>) {
    const Real *weight = packed;
    for (Index block = 0; block < blocks; block++) {
      const Index row = block_start(rows, blocks, block), size = block_start(rows, blocks, block + 1) - row;
      pick_block<Real, BLOCK_ROWS>(size, Block<Real>{weight, inner, in + lane, lanes, row, lane}, result);
      weight += size * inner;
    }
  }
}

}  // namespace chaos
