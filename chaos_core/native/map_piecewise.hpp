// z' = A z + W phi(z) + h with phi unit by unit: PLRNN, mean-centred PLRNN, dendPLRNN and its clipped form, ALRNN.
//
// J q = A q + W diag(phi') q, with phi' = 0 for about half of the units: their rows of q take no part in the product.
#pragma once
#include "map.hpp"

namespace chaos::run {

// max(0, z); parameters A, W, h.
struct Rectified {
  static constexpr bool DIAGONAL = false;  // whether W has one; where not, the diagonal belongs to A
  void set(const Cell &, const double *, Arena<double> &) {}
  Doubles value(Index, Doubles z) const { return relu<double>(z); }
  Doubles slope(Index, Doubles z) const {
    const Doubles zero = {};
    return z > zero ? zero + 1 : zero;
  }
};

// Only the last P units are rectified.
struct PartlyRectified {
  static constexpr bool DIAGONAL = true;
  double *lowest;  // -inf for linear units, 0 for rectified ones

  void set(const Cell &cell, const double *, Arena<double> &arena) {
    lowest = arena.take(whole(cell.latent));
    if (!arena.memory) return;
    fill(lowest, 0, whole(cell.latent));
    fill(lowest, -__builtin_inf(), cell.latent - cell.inner);
  }
  Doubles value(Index v, Doubles z) const { return at(lowest, v) > z ? at(lowest, v) : z; }
  Doubles slope(Index v, Doubles z) const {
    const Doubles zero = {};
    return at(lowest, v) < zero ? zero + 1 : z > zero ? zero + 1 : zero;
  }
};

// sum_b alpha_b max(0, z - H_b), less sum_b alpha_b max(0, z) where clipped; parameters A, W, h, alpha (B), H (M, B).
template <bool CLIPPED> struct Dendritic {
  static constexpr bool DIAGONAL = false;
  Index bases, row;
  const double *alpha;
  double *thresholds;  // (B, row)

  void set(const Cell &cell, const double *rest, Arena<double> &arena) {
    bases = cell.inner, row = whole(cell.latent), alpha = rest;
    thresholds = arena.take(bases * row);
    if (arena.memory) transpose(thresholds, rest + bases, cell.latent, bases, row);
  }
  Doubles value(Index v, Doubles z) const {
    Doubles sum = {};
    const Doubles plain = CLIPPED ? relu<double>(z) : sum;
    for (Index b = 0; b < bases; b++) sum += alpha[b] * (relu<double>(z - at(thresholds + b * row, v)) - plain);
    return sum;
  }
  Doubles slope(Index v, Doubles z) const {
    const Doubles zero = {}, one = zero + 1, plain = CLIPPED ? (z > zero ? one : zero) : zero;
    Doubles sum = {};
    for (Index b = 0; b < bases; b++) sum += alpha[b] * ((z > at(thresholds + b * row, v) ? one : zero) - plain);
    return sum;
  }
};

template <class Basis> struct Piecewise {
  Index M, row;
  bool centred;
  double *A, *columns;              // columns (M, row) of W
  double *inner, *values, *slopes;  // z or z - mean(z) of the last step; phi and phi' of it
  double *totals, *sums;            // of the columns of q; of those of W diag(phi')
  Index *active;                    // units with phi' != 0
  Bias bias;
  Basis basis;

  static Index states(const Cell &cell) { return cell.latent; }

  void set(const Cell &cell, Arena<double> &arena) {
    M = cell.latent, row = whole(M), centred = cell.centred;
    const double *weights = cell.parameters + M, *h = weights + M * M;
    A = arena.take(row), columns = arena.take(M * row);
    inner = arena.take(row), values = arena.take(row), slopes = arena.take(row);
    totals = arena.take(row), sums = arena.take(row), active = (Index *)arena.take(row);
    bias.set(h, M, 1, arena);
    basis.set(cell, h + M, arena);
    if (!arena.memory) return;
    widen(A, cell.parameters, M, row);
    transpose(columns, weights, M, M, row);
    if (!Basis::DIAGONAL)
      for (Index m = 0; m < M; m++) columns[m * row + m] = 0;
  }

  void step(const double *z, const double *s, double *out) {
    const double *h = bias.with(s);
    double mean = 0;
    if (centred) {
      for (Index m = 0; m < M; m++) mean += z[m];
      mean /= double(M);
    }
    for (Index v = 0; v < row / SPAN; v++) {
      put(inner, v, at(z, v) - mean);
      put(values, v, basis.value(v, at(inner, v)));
      put(out, v, at(A, v) * at(z, v) + at(h, v));
    }
    add_rows(out, values, columns, M, row);
  }

  Index list_active() {
    Index count = 0;
    for (Index v = 0; v < row / SPAN; v++) put(slopes, v, basis.slope(v, at(inner, v)));
    for (Index m = 0; m < M; m++) active[count] = m, count += slopes[m] != 0;  // no branch to guess wrong
    return count;
  }

  // W diag(phi') (I - 1 1' / M) q = W diag(phi') q - (W phi') (1' q) / M
  void centre(const double *q, double *out) {
    fill(totals, 0, row), fill(sums, 0, row);
    for (Index m = 0; m < M; m++)
      for (Index v = 0; v < row / SPAN; v++) put(totals, v, at(totals, v) + at(q + m * row, v));
    add_rows(sums, slopes, columns, M, row);
    for (Index m = 0; m < M; m++) {
      const double share = sums[m] / double(M);
      for (Index v = 0; v < row / SPAN; v++) put(out + m * row, v, at(out + m * row, v) - share * at(totals, v));
    }
  }

  void tangent(const double *q, double *out) {
    const Index count = list_active();
    scale_rows(out, A, q, M, row);
    multiply<CHOSEN>({out, row, columns, row, q, row, M, count, row, active, slopes});
    if (centred) centre(q, out);
  }
};

}  // namespace chaos::run
