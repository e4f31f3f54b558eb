// Vectors of the compiler (GCC/Clang vector extensions) and what depends on the width of the CPU's registers.
//
// Every state array is stored [unit][lane]: the lanes are the sequences of the batch, padded to a multiple of LANES, so
// that one vector holds the same unit of several sequences and no product needs a sum across a vector.
#pragma once
#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#define CHAOS_API extern "C" __declspec(dllexport)
#else
#define CHAOS_API extern "C" __attribute__((visibility("default")))
#endif
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

namespace chaos {

using Index = int64_t;

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32;
#else
constexpr int VECTOR_BYTES = 16;
#endif

#if defined(__AVX512F__) || defined(__aarch64__)  // 32 vector registers
constexpr int BLOCK_ROWS = 12, TILE_ROWS = 4, TILE_COLUMNS = 4;
#else  // 16 vector registers: 6 x 2 sums + 2 operands; 4 x 3 sums + 3 columns + 1 row. 3 x 4 spills, a quarter slower
constexpr int BLOCK_ROWS = 6, TILE_ROWS = 4, TILE_COLUMNS = 3;
#endif

constexpr int LANES = 16;

// aligned(...) is the alignment that loads may rely on: that of one element, since callers hand in any numpy array.
typedef float FloatVector __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef double DoubleVector __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));

template <class Real> struct VectorOf;
template <> struct VectorOf<float> { using Type = FloatVector; };
template <> struct VectorOf<double> { using Type = DoubleVector; };
template <class Real> using Vector = typename VectorOf<Real>::Type;

// Elements of a vector, and how many vectors a register block spans.
template <class Real> constexpr int WIDTH = VECTOR_BYTES / int(sizeof(Real));
template <class Real> constexpr int BLOCK_VECTORS = WIDTH<Real> >= LANES ? 1 : 2;

template <class Real> INLINE Vector<Real> load(const Real *from) { return *(const Vector<Real> *)from; }
template <class Real> INLINE void store(Real *to, Vector<Real> value) { *(Vector<Real> *)to = value; }

// Written so that relu(NaN) is NaN, as in torch: `value > 0 ? value : 0` would turn it into 0 and hide a broken run.
template <class Real> INLINE Vector<Real> relu(Vector<Real> value) {
  Vector<Real> zero = {};
  return zero > value ? zero : value;
}

// Rounded as IEEE 754 demands, by one instruction.
template <class Real> INLINE Vector<Real> root(Vector<Real> value) { return __builtin_elementwise_sqrt(value); }

// Sum across a vector, by halves: the additions of a level do not wait for each other.
template <class Real> INLINE Real lane_sum(Vector<Real> value) {
  Real part[WIDTH<Real>];
  store<Real>(part, value);
  UNROLL for (int half = WIDTH<Real> / 2; half > 0; half /= 2)
    UNROLL for (int i = 0; i < half; i++) part[i] += part[i + half];
  return part[0];
}

INLINE Index padded(Index count) { return (count + LANES - 1) / LANES * LANES; }

// Cuts one block of memory into arrays. With memory == nullptr it only counts: the same code tells how much is needed.
template <class Real> struct Arena {
  Real *memory;
  Index used;
  Real *take(Index count) {
    Real *start = memory ? memory + used : nullptr;
    used += padded(count);
    return start;
  }
};

}  // namespace chaos
