// The kinds of cells and their maps.
#pragma once
#include "map_gated.hpp"
#include "map_piecewise.hpp"
#include "map_shallow.hpp"

namespace chaos::run {

// As the twin says it: a delta whose square is no number is none.
INLINE bool is_smooth(const Cell &cell) { return cell.smoothing * cell.smoothing > 0; }

}  // namespace chaos::run

// DO(kind, map) for each kind but clipped_shplrnn, whose unit depends on a setting.
#define CHAOS_MAPS(DO) \
  DO(plrnn, Piecewise<Rectified>) \
  DO(mean_centred_plrnn, Piecewise<Rectified>) \
  DO(dendplrnn, Piecewise<Dendritic<false>>) \
  DO(clipped_dendplrnn, Piecewise<Dendritic<true>>) \
  DO(alrnn, Piecewise<PartlyRectified>) \
  DO(shplrnn, Shallow<Plain>) \
  DO(rnn, Rnn) \
  DO(gru, Gru) \
  DO(lstm, Lstm)
