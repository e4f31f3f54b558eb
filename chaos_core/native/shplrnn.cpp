// Shallow PLRNN, clipped and not, with sharp and smooth units (Hess et al. 2023, arXiv:2306.04406).
#include "shplrnn.hpp"

namespace chaos {

template <class Real> using Plain = ShallowCell<Real, Rectifier<Real>>;
template <class Real> using Clipped = ShallowCell<Real, ClippedRectifier<Real>>;
template <class Real> using Smoothed = ShallowCell<Real, ClippedSmooth<Real>>;

// The square of the width may vanish in single precision.
template <class Real> static Index train_clipped(StepArguments &a) {
  return (Real)(a.smoothing * a.smoothing) > 0 ? train<Real, Smoothed>(a) : train<Real, Clipped>(a);
}

}  // namespace chaos

CHAOS_CELL(shplrnn, chaos::Plain)

using chaos::StepArguments;
CHAOS_API int64_t chaos_clipped_shplrnn_step_f32(StepArguments *a) { return chaos::train_clipped<float>(*a); }
CHAOS_API int64_t chaos_clipped_shplrnn_step_f64(StepArguments *a) { return chaos::train_clipped<double>(*a); }
CHAOS_API int64_t chaos_clipped_shplrnn_work_f32(const StepArguments *a) {
  return chaos::work_elements<float, chaos::Clipped>(*a);
}
CHAOS_API int64_t chaos_clipped_shplrnn_work_f64(const StepArguments *a) {
  return chaos::work_elements<double, chaos::Clipped>(*a);
}
