// Whole training steps of any cell in one call from Python: gather the windows, run forward, mean squared error, run
// backward, clip, update.
//
//   z~_t = (1 - alpha_t) z_t + alpha_t d_t,  z_{t+1} = F(z~_t),  d = E (x - g),
//   loss = mean (G z_{t+1} + g - x_{t+1})^2 over the entries of x that are there
//
// A cell is a structure that computes one time step for all lanes in both directions. It has
//
//   Index parameters                                   how many, at the start of the flat vector
//   static Index factor_rows(const StepArguments &)    rows of its factors (see outer.hpp)
//   static Index drive_width(const StepArguments &)    rows of the drive of external inputs
//   Cell(const StepArguments &, const Shape &, Real *flat, Real *gradient, Arena<Real> &)
//   void begin()                                       of an update: packs weights, clears sums
//   void forward(Index t, const Real *from, const Real *drive, Real *to)
//   void backward(Index t, Index column, const Real *from, const Real *to, const Real *g, Real *before)
//   void add_products(Index count)                     multiplies the `count` pairs of factors that wait
//   const Real *pulled                                 factor rows with the gradient of what the drive is added to
//   void end()                                         adds to the gradient what is left
//   static constexpr bool MATCHES                      whether it has Jacobian matching, and then
//   double match(const StepArguments &, update)        which adds its gradient and returns the penalty
//
// from: z~_t, to: z_{t+1}, g: dloss/dz_{t+1}, before: dloss/dz~_t, written, all [unit][lane]; where nothing stands
// before the step `before` is null. Factors of the step belong to `column` of their rows.
#pragma once
#include "inputs.hpp"
#include "observation.hpp"
#include "penalty.hpp"

namespace chaos {

template <class Real, class Cell> struct Step {
  const StepArguments &a;
  Shape s;
  Arena<Real> arena;
  Real *live, *x, *seen, *z, *forced, *carry, *before;
  Cell cell;
  Inputs<Real> inputs;
  Observation<Real> observation;
  const Real *alpha;
  bool gaps;       // whether targets and what forces may have NaN, which then means missing
  double targets;  // entries of x over which the loss is the mean

  static Shape shape(const StepArguments &a) {
    Shape s = shape_of(a, 1);
    const Index rows = Cell::factor_rows(a) + Inputs<Real>::factor_rows(s);
    return shape_of(a, rows + Observation<Real>::factor_rows(a.reading, s));
  }

  Step(const StepArguments &a, Real *memory)
      : a(a), s(shape(a)), arena{memory, 0}, live(arena.take(s.lanes)),
        x(arena.take((s.steps + 1) * s.observed * s.lanes)),
        seen(a.seen ? arena.take((s.steps + 1) * s.observed * s.lanes) : x),
        z(arena.take(s.steps * s.state * s.lanes)), forced(arena.take(s.state * s.lanes)),
        carry(arena.take(s.state * s.lanes)), before(arena.take(s.state * s.lanes)),
        cell(a, s, (Real *)a.parameters, (Real *)a.gradient, arena),
        inputs(s, Cell::drive_width(a), (Real *)a.parameters + cell.parameters, (Real *)a.gradient + cell.parameters,
               arena),
        observation(a.reading, a.seen != nullptr, s, (Real *)a.parameters + cell.parameters + inputs.parameters(),
                    (Real *)a.gradient + cell.parameters + inputs.parameters(), arena),
        alpha(nullptr), gaps(a.seen != nullptr), targets(0) {
    for (Index lane = 0; memory && lane < s.lanes; lane++) live[lane] = lane < s.batch;
  }

  Index parameters() const {
    return cell.parameters + inputs.parameters() + Observation<Real>::parameters(a.reading, s);
  }
  const Real *state(Index t) const { return z + t * s.state * s.lanes; }        // z_{t+1}
  const Real *row(const Real *of, Index t) const { return of + t * s.observed * s.lanes; }

  // z~_t. Called in both directions: forming it again is cheaper than storing it.
  const Real *enter(Index t) {
    const Real *datum = row(seen, t), *own = alpha + t * s.state;
    const Real *free = t ? state(t - 1) : nullptr;
    const Reach reached = t ? reach(own, s) : WHOLE;
    if (reached == FREE) return free;
    const Real *d = observation.infers() ? observation.infer(datum, free) : datum;
    const Index known = observation.infers() ? s.latent : s.observed;
    if (t == 0)
      start(forced, d, known, s);
    else if (gaps && !observation.infers())
      force<true>(forced, free, d, known, own, s);
    else
      force<false>(forced, free, d, known, own, s);
    return forced;
  }

  // Turns g, dloss/dz~_t, into dloss/dz_t. To be called right after the cell's backward step at `enter(t)`.
  void leave(Index t, Real *g) {
    const Real *datum = row(seen, t), *own = alpha + t * s.state;
    if (t == 0) {
      if (observation.infers()) observation.back_through_infer(nullptr, g, datum);
      return;
    }
    if (reach(own, s) == FREE) return;
    if (observation.infers()) observation.back_through_infer(own, g, datum);
    if (gaps && !observation.infers())
      back_through_force<true>(g, datum, s.observed, own, s);
    else
      back_through_force<false>(g, datum, s.observed, own, s);
  }

  // Where the channels are the first units. Locals, since the compiler must assume that a store changes members.
  template <bool GAPS> Vector<Real> add_error_of_units(Index t, Vector<Real> squares) {
    const Index lanes = s.lanes, count = s.observed * lanes;
    const Real *to = state(t), *target = row(x, t + 1), *counts = live, *fed = observation.fed;
    const Vector<Real> zero = {};
    const Real scale = (Real)(2.0 / targets);
    Real *g = carry;
    for (Index first = 0; first < count; first += lanes)
      for (Index lane = 0; lane < lanes; lane += WIDTH<Real>) {
        const Index i = first + lane;
        const Vector<Real> wanted = load<Real>(target + i), away = load<Real>(to + i) - wanted;
        const Vector<Real> counted = GAPS ? wanted == wanted ? away : zero : away;
        const Vector<Real> e = load<Real>(counts + lane) > zero ? counted : zero;
        squares += e * e;
        const Vector<Real> whole = load<Real>(g + i) + scale * e;
        store<Real>(g + i, GAPS ? whole + load<Real>(fed + i) : whole);
      }
    if (GAPS) memset(observation.fed, 0, count * sizeof(Real));
    return squares;
  }

  // Adds the error of output t to dloss/dz_{t+1}; `column` is where step t stands in the rows of the factors.
  Vector<Real> add_error(Index t, Index column, Vector<Real> squares) {
    if (observation.reads())
      return observation.add_error(state(t), row(x, t + 1), live, (Real)(2.0 / targets), column, carry, squares);
    return gaps ? add_error_of_units<true>(t, squares) : add_error_of_units<false>(t, squares);
  }

  void forward() {
    for (Index t = 0; t < s.steps; t++) cell.forward(t, enter(t), inputs.at(t), z + t * s.state * s.lanes);
  }

  // Fills the gradient, returns the loss.
  double backward() {
    Vector<Real> squares = {};
    Index filled = 0;  // time steps whose factors wait
    memset(carry, 0, s.state * s.lanes * sizeof(Real));
    for (Index t = s.steps - 1; t >= 0; t--) {
      const Index column = filled * s.lanes;
      const Real *from = enter(t);
      const bool last = t == 0 && !observation.infers();
      squares = add_error(t, column, squares);
      cell.backward(t, column, from, state(t), carry, last ? nullptr : before);
      inputs.keep(t, column);
      if (!last) leave(t, before);
      Real *swap = carry;
      carry = before, before = swap;
      if (++filled == s.chunk || t == 0) {
        cell.add_products(filled * s.lanes);
        inputs.add_products(cell.pulled, filled * s.lanes);
        observation.add_products(filled * s.lanes);
        filled = 0;
      }
    }
    cell.end();
    observation.end();
    return (double)lane_sum<Real>(squares) / targets;
  }

  // Windows, forward, backward. A batch all of whose targets are missing has loss and gradient zero.
  double differentiate(const Index *starts) {
    gather(x, (const Real *)a.series, s.observed, starts, 0, s.steps + 1, s);
    targets = (double)s.steps * (double)s.observed * (double)s.batch;
    if (gaps) {
      gather(seen, (const Real *)a.seen, s.observed, starts, 0, s.steps + 1, s);
      fill_first_row(seen, s);
      targets = (double)present_targets(x, s);
    }
    memset(a.gradient, 0, parameters() * sizeof(Real));
    cell.begin(), observation.begin(), inputs.begin(a.drives, starts);
    if (targets == 0) return 0;
    forward();
    return backward();
  }

  // Update number `k` of this call; returns whether loss and gradient are finite.
  bool update(Index k) {
    Real *flat = (Real *)a.parameters, *gradient = (Real *)a.gradient;
    alpha = (const Real *)a.masks + a.mask_of[k] * s.steps * s.state;
    const double loss = differentiate(a.starts + k * a.batch);
    a.penalties[k] = add_pulls(a, flat, gradient);
    if constexpr (Cell::MATCHES)
      if (a.matched) a.penalties[k] += cell.match(a, k);
    OptimiserSettings settings = a.optimiser;
    settings.iteration += k, settings.learning_rate = a.rates[k];
    const double length = clip(gradient, parameters(), settings.clip_norm);
    optimise(flat, gradient, (Real *)a.first_moment, (Real *)a.second_moment, parameters(), settings);
    if (settings.kind != NO_UPDATE) keep_limits(a, flat);
    a.losses[k] = loss, a.norms[k] = length;
    return loss - loss == 0 && length - length == 0;
  }
};

template <class Real, template <class> class Cell> static Index train(StepArguments &a) {
  if (a.points && !Cell<Real>::MATCHES) return UNMATCHED;
  if (a.updates == 0) return DONE;  // only asked whether it can be done
  if (windows_outside(a)) return WINDOW_OUTSIDE;
  if (points_outside(a)) return POINT_OUTSIDE;
  Step<Real, Cell<Real>> step(a, (Real *)a.work);
  a.done = 0;
  while (a.done < a.updates && step.update(a.done++)) {
  }
  return DONE;
}

template <class Real, template <class> class Cell> static Index work_elements(const StepArguments &a) {
  return Step<Real, Cell<Real>>(a, nullptr).arena.used;
}

}  // namespace chaos

// What the library exports for one kind of cell.
#define CHAOS_CELL_OF(kind, suffix, Real, Cell)                                \
  CHAOS_API int64_t chaos_##kind##_step_##suffix(chaos::StepArguments *a) {       \
    return chaos::train<Real, Cell>(*a);                                       \
  }                                                                            \
  CHAOS_API int64_t chaos_##kind##_work_##suffix(const chaos::StepArguments *a) { \
    return chaos::work_elements<Real, Cell>(*a);                               \
  }
#define CHAOS_CELL(kind, Cell) CHAOS_CELL_OF(kind, f32, float, Cell) CHAOS_CELL_OF(kind, f64, double, Cell)
