// The pseudo-inverse of a small matrix of full rank, and the gradient through it. In double whatever the training uses:
// the Gram matrix squares the condition number, and all of it is nothing beside a training step.
//
//   wide B (rows <= columns):  B+ = B' S with S = (B B')^-1;  a tall B has (B+)' = (B')+
//   dloss/dB = S G' - S (Y + Y') S B  with G = dloss/dB+ and Y = B G
#pragma once
#include "vector.hpp"

namespace chaos {

// A matrix of any layout: element (i, j) is at[i * row + j * column].
struct View {
  double *at;
  Index row, column;
  double &operator()(Index i, Index j) const { return at[i * row + j * column]; }
};

// The numbers it needs: B and its inverse, gradients of both, and three square matrices.
struct InverseBuffers {
  double *matrix, *inverse, *gradient, *square, *gram, *solved;
  static Index count(Index rows, Index columns) {
    const Index small = rows < columns ? rows : columns;
    return 3 * rows * columns + 3 * small * small;
  }
  InverseBuffers(double *memory, Index rows, Index columns) {
    const Index small = rows < columns ? rows : columns, whole = rows * columns;
    matrix = memory, inverse = matrix + whole, gradient = inverse + whole;
    square = gradient + whole, gram = square + small * small, solved = gram + small * small;
  }
};

// The inverse of a symmetric positive definite matrix by Gauss-Jordan, which needs no pivots for it; `matrix` is
// spoilt. A singular one gives inf or NaN, and the training stops there.
static inline void invert(double *matrix, double *inverse, Index n) {
  for (Index i = 0; i < n; i++)
    for (Index j = 0; j < n; j++) inverse[i * n + j] = i == j;
  for (Index k = 0; k < n; k++) {
    const double scale = 1 / matrix[k * n + k];
    for (Index j = 0; j < n; j++) matrix[k * n + j] *= scale, inverse[k * n + j] *= scale;
    for (Index i = 0; i < n; i++) {
      if (i == k) continue;
      const double factor = matrix[i * n + k];
      for (Index j = 0; j < n; j++) {
        matrix[i * n + j] -= factor * matrix[k * n + j];
        inverse[i * n + j] -= factor * inverse[k * n + j];
      }
    }
  }
}

// B+ of a wide view: `inverse` is indexed (column of B, row of B).
static inline void pseudo_inverse_wide(View b, View inverse, Index n, Index m, InverseBuffers s) {
  for (Index i = 0; i < n; i++)
    for (Index j = 0; j < n; j++) {
      double sum = 0;
      for (Index k = 0; k < m; k++) sum += b(i, k) * b(j, k);
      s.square[i * n + j] = sum;
    }
  invert(s.square, s.gram, n);
  for (Index k = 0; k < m; k++)
    for (Index j = 0; j < n; j++) {
      double sum = 0;
      for (Index i = 0; i < n; i++) sum += b(i, k) * s.gram[i * n + j];
      inverse(k, j) = sum;
    }
}

// Turns the gradient of B+, indexed (column of B, row of B) by `g`, into that of B, which it adds to `to` (row,
// column). S is still in s.gram.
template <class Real>
static void back_through_inverse_wide(View b, View g, Index n, Index m, InverseBuffers s, Real *to, Index row,
                                      Index column) {
  for (Index i = 0; i < n; i++)
    for (Index j = 0; j < n; j++) {
      double sum = 0;
      for (Index k = 0; k < m; k++) sum += b(i, k) * g(k, j) + b(j, k) * g(k, i);
      s.square[i * n + j] = sum;  // Y + Y'
    }
  for (Index i = 0; i < n; i++)
    for (Index j = 0; j < n; j++) {
      double sum = 0;
      for (Index k = 0; k < n; k++) sum += s.gram[i * n + k] * s.square[k * n + j];
      s.solved[i * n + j] = sum;  // S (Y + Y')
    }
  for (Index i = 0; i < n; i++)
    for (Index j = 0; j < n; j++) {
      double sum = 0;
      for (Index k = 0; k < n; k++) sum += s.solved[i * n + k] * s.gram[k * n + j];
      s.square[i * n + j] = sum;  // S (Y + Y') S
    }
  for (Index i = 0; i < n; i++)
    for (Index k = 0; k < m; k++) {
      double sum = 0;
      for (Index j = 0; j < n; j++) sum += s.gram[i * n + j] * g(k, j) - s.square[i * n + j] * b(j, k);
      to[i * row + k * column] += (Real)sum;
    }
}

// inverse (columns, rows) of a matrix (rows, columns).
template <class Real>
static void pseudo_inverse(const Real *matrix, Real *inverse, Index rows, Index columns, InverseBuffers s) {
  for (Index i = 0; i < rows * columns; i++) s.matrix[i] = (double)matrix[i];
  const View b = {s.matrix, columns, 1}, turned = {s.matrix, 1, columns};
  const View found = {s.inverse, rows, 1}, found_turned = {s.inverse, 1, rows};
  if (rows <= columns)
    pseudo_inverse_wide(b, found, rows, columns, s);
  else
    pseudo_inverse_wide(turned, found_turned, columns, rows, s);
  for (Index i = 0; i < rows * columns; i++) inverse[i] = (Real)s.inverse[i];
}

// Adds to `gradient` (rows, columns) what that of the inverse (columns, rows) gives. To be called after pseudo_inverse.
template <class Real>
static void back_through_inverse(const Real *inverse_gradient, Real *gradient, Index rows, Index columns,
                                 InverseBuffers s) {
  for (Index i = 0; i < rows * columns; i++) s.gradient[i] = (double)inverse_gradient[i];
  const View b = {s.matrix, columns, 1}, turned = {s.matrix, 1, columns};
  const View g = {s.gradient, rows, 1}, g_turned = {s.gradient, 1, rows};
  if (rows <= columns)
    back_through_inverse_wide(b, g, rows, columns, s, gradient, columns, 1);
  else
    back_through_inverse_wide(turned, g_turned, columns, rows, s, gradient, 1, columns);
}

}  // namespace chaos
