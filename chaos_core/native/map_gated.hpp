// Cells with saturating units: RNN, GRU, LSTM. Their Jacobians are sums of scaled weight matrices, which costs M^2, so
// these sums are made first and the frame is multiplied once.
#pragma once
#include "map.hpp"
#include "activation.hpp"

namespace chaos::run {

// Weights (blocks x M, M) as M columns of `blocks` rows, so that the sums of all gates run along the units.
static double *gate_columns(const Cell &cell, Index blocks, Arena<double> &arena) {
  const Index M = cell.latent, row = whole(M);
  double *columns = arena.take(M * blocks * row);
  if (!arena.memory) return columns;
  fill(columns, 0, M * blocks * row);
  for (Index b = 0; b < blocks; b++)
    for (Index i = 0; i < M; i++)
      for (Index k = 0; k < M; k++) columns[(k * blocks + b) * row + i] = cell.parameters[(b * M + i) * M + k];
  return columns;
}

// z' = tanh(W z + b); parameters W, b. J q = diag(1 - z'^2) W q.
struct Rnn {
  Index M, row;
  double *columns, *slopes;
  Bias bias;

  static Index states(const Cell &cell) { return cell.latent; }

  void set(const Cell &cell, Arena<double> &arena) {
    M = cell.latent, row = whole(M);
    columns = gate_columns(cell, 1, arena), slopes = arena.take(row);
    bias.set(cell.parameters + M * M, M, 1, arena);
  }

  void step(const double *z, const double *s, double *out) {
    const double *b = bias.with(s);
    memcpy(out, b, row * sizeof(double));
    add_rows(out, z, columns, M, row);
    for (Index v = 0; v < row / SPAN; v++) {
      const Doubles after = hyperbolic_tangent<double>(at(out, v));
      put(out, v, after);
      put(slopes, v, 1 - after * after);
    }
  }

  void tangent(const double *q, double *out) {
    multiply<SET>({out, row, columns, row, q, row, M, M, row});
    scale_rows(out, slopes, out, M, row);
  }
};

// r, q = sigma(W_r z + b_r), sigma(W_q z + b_q); n = tanh(b_n + r v), v = W_n z + c; z' = n + q (z - n).
// Parameters W (r, q, n), b (r, q, n), c.
struct Gru {
  Index M, row;
  double *columns, *inside, *c;
  double *reset, *keep, *candidate, *v, *gap;  // r, q, n, v and z - n of the last step
  double *jacobian;                            // (M, row): row k holds dF / dz_k
  Bias bias;

  static Index states(const Cell &cell) { return cell.latent; }

  void set(const Cell &cell, Arena<double> &arena) {
    M = cell.latent, row = whole(M);
    const double *b = cell.parameters + 3 * M * M;
    columns = gate_columns(cell, 3, arena), inside = arena.take(3 * row), c = arena.take(row);
    reset = arena.take(row), keep = arena.take(row), candidate = arena.take(row);
    v = arena.take(row), gap = arena.take(row), jacobian = arena.take(M * row);
    bias.set(b, M, 3, arena);
    if (arena.memory) widen(c, b + 3 * M, M, row);
  }

  void step(const double *z, const double *s, double *out) {
    const double *b = bias.with(s);
    const Index vectors = row / SPAN;
    fill(inside, 0, 3 * row);
    add_rows(inside, z, columns, M, 3 * row);
    for (Index i = 0; i < vectors; i++) {
      const Doubles r = logistic<double>(at(inside, i) + at(b, i));
      const Doubles q = logistic<double>(at(inside, vectors + i) + at(b, vectors + i));
      const Doubles hidden = at(inside, 2 * vectors + i) + at(c, i);
      const Doubles n = hyperbolic_tangent<double>(at(b, 2 * vectors + i) + r * hidden), apart = at(z, i) - n;
      put(reset, i, r), put(keep, i, q), put(candidate, i, n), put(v, i, hidden), put(gap, i, apart);
      put(out, i, n + q * apart);
    }
  }

  // dF/dz_k = W_q,k (z - n) q (1 - q) + (1 - q) (1 - n^2) (r W_n,k + v r (1 - r) W_r,k), and q for its own unit.
  void fill_jacobian() {
    const Index vectors = row / SPAN;
    for (Index i = 0; i < vectors; i++) {
      const Doubles r = at(reset, i), q = at(keep, i), n = at(candidate, i), through = (1 - q) * (1 - n * n);
      const Doubles of_q = at(gap, i) * q * (1 - q), of_n = through * r, of_r = of_n * at(v, i) * (1 - r);
      for (Index k = 0; k < M; k++) {
        const double *w = columns + k * 3 * row;
        put(jacobian + k * row, i,
            of_r * at(w, i) + of_q * at(w, vectors + i) + of_n * at(w, 2 * vectors + i));
      }
    }
    for (Index k = 0; k < M; k++) jacobian[k * row + k] += keep[k];
  }

  void tangent(const double *q, double *out) {
    fill_jacobian();
    multiply<SET>({out, row, jacobian, row, q, row, M, M, row});
  }
};

// i, f, g, o = W h + b; c' = sigma(f) c + sigma(i) tanh(g); h' = sigma(o) tanh(c'); z = [h, c]; parameters W, b.
struct Lstm {
  Index M, row, frame_row;
  double *columns, *gates;
  double *input, *forget, *fresh, *output, *before, *seen;  // the gates, tanh(g), c and tanh(c') of the last step
  double *through;                                          // dh'/dc'
  double *memory_jacobian, *output_jacobian;                // (M, row): dc'/dh_k; dh'/dh_k with c' held fixed
  Bias bias;

  static Index states(const Cell &cell) { return 2 * cell.latent; }

  void set(const Cell &cell, Arena<double> &arena) {
    M = cell.latent, row = whole(M), frame_row = whole(2 * M);
    columns = gate_columns(cell, 4, arena), gates = arena.take(4 * row);
    input = arena.take(row), forget = arena.take(row), fresh = arena.take(row), output = arena.take(row);
    before = arena.take(row), seen = arena.take(row), through = arena.take(row);
    memory_jacobian = arena.take(M * row), output_jacobian = arena.take(M * row);
    bias.set(cell.parameters + 4 * M * M, M, 4, arena);
  }

  void step(const double *z, const double *s, double *out) {
    const double *b = bias.with(s);
    const Index vectors = row / SPAN;
    memcpy(gates, b, 4 * row * sizeof(double));
    add_rows(gates, z, columns, M, 4 * row);
    for (Index i = 0; i < vectors; i++) {
      const Doubles in = logistic<double>(at(gates, i)), kept = logistic<double>(at(gates, vectors + i));
      const Doubles g = hyperbolic_tangent<double>(at(gates, 2 * vectors + i));
      const Doubles o = logistic<double>(at(gates, 3 * vectors + i));
      const Doubles old = at(z + M, i), memory = kept * old + in * g, shown = hyperbolic_tangent<double>(memory);
      put(input, i, in), put(forget, i, kept), put(fresh, i, g), put(output, i, o);
      put(before, i, old), put(seen, i, shown), put(gates, i, memory);
    }
    for (Index i = 0; i < vectors; i++) put(out, i, at(output, i) * at(seen, i));
    for (Index i = 0; i < vectors; i++) put(out + M, i, at(gates, i));  // over what the last vector of h' left there
  }

  void fill_jacobians() {
    const Index vectors = row / SPAN;
    for (Index i = 0; i < vectors; i++) {
      const Doubles in = at(input, i), kept = at(forget, i), g = at(fresh, i), o = at(output, i), shown = at(seen, i);
      const Doubles of_i = in * (1 - in) * g, of_f = kept * (1 - kept) * at(before, i), of_g = in * (1 - g * g);
      const Doubles of_o = o * (1 - o) * shown;
      put(through, i, o * (1 - shown * shown));
      for (Index k = 0; k < M; k++) {
        const double *w = columns + k * 4 * row;
        put(memory_jacobian + k * row, i,
            of_i * at(w, i) + of_f * at(w, vectors + i) + of_g * at(w, 2 * vectors + i));
        put(output_jacobian + k * row, i, of_o * at(w, 3 * vectors + i));
      }
    }
  }

  void tangent(const double *q, double *out) {
    double *memory = out + M * frame_row;
    fill_jacobians();
    scale_rows(memory, forget, q + M * frame_row, M, frame_row);
    multiply<ADD>({memory, frame_row, memory_jacobian, row, q, frame_row, M, M, frame_row});
    scale_rows(out, through, memory, M, frame_row);
    multiply<ADD>({out, frame_row, output_jacobian, row, q, frame_row, M, M, frame_row});
  }
};

}  // namespace chaos::run
