// Free runs in float64: many steps of one start after the other. Here the hidden units (or the rows of the state) run
// along the vector, since a single orbit has no batch to fill it with. Plain loops: the compiler vectorises them.
#include "vector.hpp"

namespace chaos {

struct OrbitArguments {
  Index starts, steps, latent, hidden;
  double smoothing;          // delta of the hidden units, 0: rectifier
  const double *parameters;  // flat, in the order of the cell
  const double *z0;          // (starts, latent)
  double *z;                 // (starts, steps, latent), written
  double *work;              // orbit_work elements
};

INLINE double relu(double value) { return 0 > value ? 0 : value; }

// Sums in 8 fixed parts, so that the order of additions does not depend on the width of the vector.
INLINE double dot(const double *left, const double *right, Index count) {
  double part[8] = {}, sum = 0;
  Index i = 0;
  for (; i + 8 <= count; i += 8)
    for (int j = 0; j < 8; j++) part[j] += left[i + j] * right[i + j];
  for (; i < count; i++) sum += left[i] * right[i];
  for (int j = 0; j < 8; j++) sum += part[j];
  return sum;
}

static void transpose(double *to, const double *from, Index rows, Index columns) {
  for (Index i = 0; i < rows; i++)
    for (Index j = 0; j < columns; j++) to[j * rows + i] = from[i * columns + j];
}

// sum[i] += column[i] * factor over all columns k: the vector runs along i, no sum across it is needed.
INLINE void add_columns(double *__restrict sum, const double *columns, const double *factors, Index rows, Index count) {
  for (Index k = 0; k < count; k++)
    for (Index i = 0; i < rows; i++) sum[i] += columns[k * rows + i] * factors[k];
}

// a_j = phi(u_j + h_j) - phi(u_j) in place of u_j, with phi(v) = max(0, v) or (v + sqrt(v^2 + delta^2)) / 2.
INLINE void clip_units(double *u, const double *h, Index count, double square) {
  if (square > 0)
    for (Index j = 0; j < count; j++) {
      const double v = u[j] + h[j];
      u[j] = 0.5 * (h[j] + __builtin_sqrt(v * v + square) - __builtin_sqrt(u[j] * u[j] + square));
    }
  else
    for (Index j = 0; j < count; j++) u[j] = relu(u[j] + h[j]) - relu(u[j]);
}

static void clipped_shplrnn(const OrbitArguments &a) {
  const Index M = a.latent, L = a.hidden;
  const double square = a.smoothing * a.smoothing;
  const double *A = a.parameters, *W1 = A + M, *W2 = W1 + M * L, *h1 = W2 + L * M, *h2 = h1 + M;
  double *columns = a.work, *hidden = columns + L * M;
  transpose(columns, W2, L, M);
  for (Index start = 0; start < a.starts; start++) {
    const double *z = a.z0 + start * M;
    double *out = a.z + start * a.steps * M;
    for (Index t = 0; t < a.steps; t++, z = out, out += M) {
      memset(hidden, 0, L * sizeof(double));
      add_columns(hidden, columns, z, L, M);
      clip_units(hidden, h2, L, square);
      for (Index m = 0; m < M; m++) out[m] = A[m] * z[m] + dot(W1 + m * L, hidden, L) + h1[m];
    }
  }
}

static void plrnn(const OrbitArguments &a) {
  const Index M = a.latent;
  const double *A = a.parameters, *W = A + M, *h = W + M * M;
  double *columns = a.work, *rectified = columns + M * M;
  transpose(columns, W, M, M);
  for (Index m = 0; m < M; m++) columns[m * M + m] = 0;  // the diagonal belongs to A
  for (Index start = 0; start < a.starts; start++) {
    const double *z = a.z0 + start * M;
    double *out = a.z + start * a.steps * M;
    for (Index t = 0; t < a.steps; t++, z = out, out += M) {
      for (Index m = 0; m < M; m++) rectified[m] = relu(z[m]), out[m] = A[m] * z[m] + h[m];
      add_columns(out, columns, rectified, M, M);
    }
  }
}

}  // namespace chaos

CHAOS_API int64_t chaos_clipped_shplrnn_orbit(const chaos::OrbitArguments *a) { return chaos::clipped_shplrnn(*a), 0; }
CHAOS_API int64_t chaos_plrnn_orbit(const chaos::OrbitArguments *a) { return chaos::plrnn(*a), 0; }
CHAOS_API int64_t chaos_orbit_bytes(void) { return sizeof(chaos::OrbitArguments); }
