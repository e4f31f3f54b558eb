// What a cell is to a free run: a map with one step, and with a push of tangent vectors through its Jacobian at the
// state of the last step. The maps themselves: map_piecewise.hpp, map_shallow.hpp, map_gated.hpp.
//
//   struct SomeMap {
//     static Index states(const Cell &);               // N, numbers in the state
//     void set(const Cell &, Arena<double> &);         // cuts and fills its buffers
//     void step(const double *z, const double *s, double *out);
//     void tangent(const double *q, double *out);      // out = J q for a frame of N tangent vectors
//   };
//
// States are rows of `state_row(N)` doubles, frames N rows of `whole(N)`, with zeros beyond the N numbers. `out` is
// never `z` or `q`. `set` fills nothing where the arena only counts.
#pragma once
#include "tile.hpp"

namespace chaos::run {

// native/map.py has the same fields in this order.
struct Cell {
  Index latent, inner;       // M; L hidden units, B bases or P rectified units, 0 where the cell has none of these
  Index centred;             // whether the mean of the units is subtracted first
  double smoothing;          // delta of the hidden units, 0: rectifier
  const double *parameters;  // flat, in the order of the cell
};

// Two blocks of M units, each read as whole vectors, must fit behind each other: [h, c] of the LSTM.
INLINE Index state_row(Index states) { return whole(states) + SPAN; }

// The bias of `blocks` x M units with the drive of the step added, each block in whole vectors.
struct Bias {
  Index units, blocks, row;
  double *fixed, *driven;

  void set(const double *bias, Index units_, Index blocks_, Arena<double> &arena) {
    units = units_, blocks = blocks_, row = whole(units_);
    fixed = arena.take(blocks * row), driven = arena.take(blocks * row);
    if (!arena.memory) return;
    for (Index b = 0; b < blocks; b++) widen(fixed + b * row, bias + b * units, units, row);
    fill(driven, 0, blocks * row);
  }

  const double *with(const double *s) {
    if (!s) return fixed;
    for (Index b = 0; b < blocks; b++)
      for (Index i = 0; i < units; i++) driven[b * row + i] = fixed[b * row + i] + s[b * units + i];
    return driven;
  }
};

// out = diag(factor) q
INLINE void scale_rows(double *out, const double *factor, const double *q, Index rows, Index row) {
  for (Index i = 0; i < rows; i++)
    for (Index v = 0; v < row / SPAN; v++) put(out + i * row, v, factor[i] * at(q + i * row, v));
}

}  // namespace chaos::run
