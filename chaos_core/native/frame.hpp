// A frame of N tangent vectors, the columns of a matrix (N, row), made orthonormal by Householder's reflections as in
// LAPACK: where directions have become one, or zero, the frame is orthonormal all the same. Gram and Schmidt's way,
// done only once, was a tenth faster for 20 units.
#pragma once
#include "tile.hpp"

namespace chaos::run {

// A product of many factors as mantissa * 2^exponent: no logarithm is at hand, and the caller needs only one.
struct Lengths {
  double *mantissa, *exponent;
};

// mantissa in [1, 2), or 0 for good once a factor was 0.
INLINE void lengthen(double *mantissa, double *exponent, double factor) {
  constexpr double SMALL = 0x1p-1000, LIFT = 0x1p64;  // below SMALL digits could be lost
  if (factor == 0) *mantissa = 0;
  if (*mantissa == 0) return;
  if (factor < SMALL) factor *= LIFT, *exponent -= 64;
  factor *= *mantissa * 0.5;  // halved: twice the largest number is none
  int64_t bits;
  memcpy(&bits, &factor, sizeof bits);
  *exponent += double((bits >> 52) - 1022);
  bits = (bits & ((int64_t(1) << 52) - 1)) | (int64_t(1023) << 52);
  memcpy(mantissa, &bits, sizeof bits);
}

INLINE double largest_of(const double *x, Index stride, Index count) {
  double largest = 0;
  for (Index i = 0; i < count; i++) {
    const double size = __builtin_fabs(x[i * stride]);
    largest = size > largest ? size : largest;
  }
  return largest;
}

INLINE double square_of(const double *x, Index stride, Index count) {
  double part[4] = {};
  Index i = 0;
  for (; i + 4 <= count; i += 4)
    UNROLL for (int j = 0; j < 4; j++) part[j] += x[(i + j) * stride] * x[(i + j) * stride];
  for (; i < count; i++) part[0] += x[i * stride] * x[i * stride];
  return (part[0] + part[1]) + (part[2] + part[3]);
}

// q -= weight v (v' q) for VECTORS vectors of columns. The sums are split in sets as in tile.hpp.
template <int VECTORS> INLINE void reflect(double *q, Index row, const double *v, double weight, Index rows) {
  constexpr int SETS = VECTORS >= 4 ? 2 : 4;
  Doubles share[SETS][VECTORS] = {};
  Index i = 0;
  for (; i + SETS <= rows; i += SETS)
    UNROLL for (int s = 0; s < SETS; s++)
      UNROLL for (int c = 0; c < VECTORS; c++) share[s][c] += v[i + s] * at(q + (i + s) * row, c);
  for (; i < rows; i++)
    UNROLL for (int c = 0; c < VECTORS; c++) share[0][c] += v[i] * at(q + i * row, c);
  UNROLL for (int c = 0; c < VECTORS; c++) {
    UNROLL for (int s = 1; s < SETS; s++) share[0][c] += share[s][c];
    share[0][c] *= weight;
  }
  for (i = 0; i < rows; i++)
    UNROLL for (int c = 0; c < VECTORS; c++) put(q + i * row, c, at(q + i * row, c) - v[i] * share[0][c]);
}

struct Frame {
  Index N, row;
  double *q, *next;
  double *reflectors, *weights;  // (N, N) v of each reflection I - weight v v', from its own row on

  void set(Index states, Arena<double> &arena) {
    N = states, row = whole(states);
    q = arena.take(N * row), next = arena.take(N * row), reflectors = arena.take(N * N), weights = arena.take(N);
  }

  void read(const double *from) {
    for (Index i = 0; i < N; i++) widen(q + i * row, from + i * N, N, row);
  }
  void write(double *to) const {
    for (Index i = 0; i < N; i++)
      for (Index c = 0; c < N; c++) to[i * N + c] = q[i * row + c];
  }
  void unit() {
    fill(q, 0, N * row);
    for (Index i = 0; i < N; i++) q[i * row + i] = 1;
  }
  bool finite() const {
    Doubles sum = {};
    for (Index i = 0; i < N * row; i += SPAN) sum += load<double>(q + i);
    const double total = lane_sum<double>(sum);
    return total - total == 0;
  }

  // Reflection j of the rows from j and the columns from `column` on; some columns before it may take part.
  void reflect_from(Index j, Index column) {
    const double *v = reflectors + j * N + j;
    if (weights[j] == 0) return;
    for (column = column / SPAN * SPAN; column < row;) {
      double *below = q + j * row + column;
      const Index left = (row - column) / SPAN;
      if (left >= 6) reflect<6>(below, row, v, weights[j], N - j), column += 6 * SPAN;
      else if (left == 5) reflect<5>(below, row, v, weights[j], N - j), column += 5 * SPAN;
      else if (left == 4) reflect<4>(below, row, v, weights[j], N - j), column += 4 * SPAN;
      else if (left == 3) reflect<3>(below, row, v, weights[j], N - j), column += 3 * SPAN;
      else if (left == 2) reflect<2>(below, row, v, weights[j], N - j), column += 2 * SPAN;
      else reflect<1>(below, row, v, weights[j], N - j), column += SPAN;
    }
  }

  // The reflection that makes zeros below the diagonal of column j; returns |R_jj|.
  double reflector(Index j) {
    constexpr double SMALL = 0x1p-400, LARGE = 0x1p400;
    const Index rest = N - j - 1;
    const double *x = q + j * row + j;
    double *v = reflectors + j * N + j, top = x[0], below = square_of(x + row, row, rest), scale = 1;
    weights[j] = 0;
    for (Index i = 1; i <= rest; i++) v[i] = x[i * row];
    if (!(below + top * top > SMALL && below + top * top < LARGE)) {  // squares may be no numbers
      scale = largest_of(x, row, rest + 1);
      if (scale == 0) return 0;
      for (Index i = 1; i <= rest; i++) v[i] /= scale;
      top /= scale, below = square_of(v + 1, 1, rest);
    }
    if (below == 0) return __builtin_fabs(x[0]);
    const double length = __builtin_sqrt(below + top * top), to = top > 0 ? -length : length;
    v[0] = top - to;  // of one sign, so that no digits cancel
    weights[j] = 1 / (to * (to - top));
    return scale * length;
  }

  // Q R = q; q becomes Q, and each length is multiplied by |R_jj|.
  void orthonormalise(Lengths lengths) {
    for (Index j = 0; j < N; j++) {
      lengthen(lengths.mantissa + j, lengths.exponent + j, reflector(j));
      reflect_from(j, j + 1);
    }
    unit();
    for (Index j = N - 1; j >= 0; j--) reflect_from(j, j);
  }
};

}  // namespace chaos::run
