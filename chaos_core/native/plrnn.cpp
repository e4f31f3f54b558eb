// PLRNN (Durstewitz 2017, doi:10.1371/journal.pcbi.1005542), mean-centred PLRNN (Brenner et al. 2022, arXiv:2207.02542)
// and almost-linear RNN (Brenner et al. 2024, arXiv:2410.14240).
#include "plrnn.hpp"

namespace chaos {

template <class Real> using Plrnn = DiagonalCell<Real, Rectified<Real>, true>;
template <class Real> using MeanCentredPlrnn = DiagonalCell<Real, CentredRectified<Real>, true>;
template <class Real> using AlmostLinear = DiagonalCell<Real, PartlyLinear<Real>, false>;

}  // namespace chaos

CHAOS_CELL(plrnn, chaos::Plrnn)
CHAOS_CELL(mean_centred_plrnn, chaos::MeanCentredPlrnn)
CHAOS_CELL(alrnn, chaos::AlmostLinear)
