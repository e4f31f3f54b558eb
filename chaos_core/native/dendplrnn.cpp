// Dendritic PLRNN, clipped and not (Brenner et al. 2022, arXiv:2207.02542).
#include "plrnn.hpp"

namespace chaos {

template <class Real> using Dendritic = DiagonalCell<Real, Dendrites<Real, false>, true>;
template <class Real> using ClippedDendritic = DiagonalCell<Real, Dendrites<Real, true>, true>;

}  // namespace chaos

CHAOS_CELL(dendplrnn, chaos::Dendritic)
CHAOS_CELL(clipped_dendplrnn, chaos::ClippedDendritic)
