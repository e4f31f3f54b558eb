// z' = A z + W1 a(W2 z) + h1: shPLRNN, and the clipped shPLRNN with sharp and smooth units.
//
// J = diag(A) + W1 diag(d) W2 is kept and brought up to date by the units whose slope d has changed: a flow crosses few
// of its thresholds in a step. J and J q together then cost M^3 + changed M^2 where W1 (d (W2 q)) would cost
// 2 active M^2; with smooth units, where all slopes change, M^3 + L M^2 against 2 L M^2.
#pragma once
#include "map.hpp"

namespace chaos::run {

// a = max(0, u + h)
struct Plain {
  static Plain of(const Cell &) { return {}; }
  Doubles value(Doubles u, Doubles h) const { return relu<double>(u + h); }
  Doubles slope(Doubles u, Doubles h) const {
    const Doubles zero = {};
    return u + h > zero ? zero + 1 : zero;
  }
};

// a = max(0, u + h) - max(0, u)
struct Clipped {
  static Clipped of(const Cell &) { return {}; }
  Doubles value(Doubles u, Doubles h) const { return relu<double>(u + h) - relu<double>(u); }
  Doubles slope(Doubles u, Doubles h) const {
    const Doubles zero = {}, one = zero + 1;
    return (u + h > zero ? one : zero) - (u > zero ? one : zero);
  }
};

// a = phi(u + h) - phi(u), phi(v) = (v + sqrt(v^2 + delta^2)) / 2
struct Smooth {
  double square;
  static Smooth of(const Cell &cell) { return {cell.smoothing * cell.smoothing}; }
  Doubles value(Doubles u, Doubles h) const {
    const Doubles v = u + h;
    return 0.5 * (h + root<double>(v * v + square) - root<double>(u * u + square));
  }
  Doubles slope(Doubles u, Doubles h) const {
    const Doubles v = u + h;
    return 0.5 * (v / root<double>(v * v + square) - u / root<double>(u * u + square));
  }
};

constexpr Index FRESH = 64;  // steps after which J is begun anew, so that rounding cannot pile up

template <class Unit> struct Shallow {
  Index M, L, row, hidden_row;
  double *A, *h2;
  double *into, *rows_in, *out_of;  // columns (M, hidden_row) and rows (L, row) of W2, columns (L, row) of W1
  double *u, *a;                    // u = W2 z of the last step, and what the units make of it
  double *jacobian;                 // (M, row): row k holds dF / dz_k
  double *slope, *change;           // d as it stands in J, and what is to be added
  Index *list, age;                 // units with a change; steps since J was begun anew
  Bias bias;
  Unit unit;

  static Index states(const Cell &cell) { return cell.latent; }

  void set(const Cell &cell, Arena<double> &arena) {
    M = cell.latent, L = cell.inner, row = whole(M), hidden_row = whole(L), age = FRESH, unit = Unit::of(cell);
    const double *W1 = cell.parameters + M, *W2 = W1 + M * L, *h1 = W2 + L * M;
    A = arena.take(row), h2 = arena.take(hidden_row), u = arena.take(hidden_row), a = arena.take(hidden_row);
    into = arena.take(M * hidden_row), rows_in = arena.take(L * row), out_of = arena.take(L * row);
    jacobian = arena.take(M * row), slope = arena.take(hidden_row), change = arena.take(hidden_row);
    list = (Index *)arena.take(hidden_row);
    bias.set(h1, M, 1, arena);
    if (!arena.memory) return;
    widen(A, cell.parameters, M, row);
    transpose(into, W2, L, M, hidden_row);
    transpose(out_of, W1, M, L, row);
    widen(h2, h1 + M, L, hidden_row);
    fill(slope, 0, hidden_row);
    for (Index j = 0; j < L; j++) widen(rows_in + j * row, W2 + j * M, M, row);
  }

  void step(const double *z, const double *s, double *out) {
    const double *h1 = bias.with(s);
    fill(u, 0, hidden_row);
    add_rows(u, z, into, M, hidden_row);
    for (Index v = 0; v < hidden_row / SPAN; v++) put(a, v, unit.value(at(u, v), at(h2, v)));
    for (Index v = 0; v < row / SPAN; v++) put(out, v, at(A, v) * at(z, v) + at(h1, v));
    add_rows(out, a, out_of, L, row);
  }

  // Lists the units whose slope has changed. Where these are as many as have a slope at all, J is begun anew.
  Index list_changes() {
    Index count = 0;
    Integers active = {};
    const Doubles zero = {};
    for (Index v = 0; v < hidden_row / SPAN; v++) {
      const Doubles now = unit.slope(at(u, v), at(h2, v)), gap = now - at(slope, v);
      active -= now != zero;
      put(slope, v, now), put(change, v, gap);
      if (__builtin_reduce_or(gap != zero))
        for (Index j = v * SPAN; j < v * SPAN + SPAN; j++) list[count] = j, count += change[j] != 0;
    }
    if (++age < FRESH && count < __builtin_reduce_add(active)) return count;
    fill(jacobian, 0, M * row);
    for (Index m = 0; m < M; m++) jacobian[m * row + m] = A[m];
    memcpy(change, slope, hidden_row * sizeof(double));
    age = count = 0;
    for (Index j = 0; j < L; j++) list[count] = j, count += change[j] != 0;
    return count;
  }

  void tangent(const double *q, double *out) {
    const Index count = list_changes();
    if (count) multiply<CHOSEN>({jacobian, row, rows_in, row, out_of, row, M, count, row, list, change});
    multiply<SET>({out, row, jacobian, row, q, row, M, M, row});
  }
};

}  // namespace chaos::run
