"""Free runs of a trained model in the units of its data."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from chaos_core.arrays import as_array, as_arrays, as_numpy
from chaos_core.embedding import delay_embed
from chaos_core.errors import BadShape, EmptyData, Inconsistent, NotFinite, RaggedRow, TooShort
from chaos_core.fitted import Fitted
from chaos_core.orbits import orbits
from chaos_core.typing import Floats

__all__ = [
    "checked_rows",
    "forecast",
    "free_latent",
    "free_latents",
    "generate",
    "infer_latent",
    "read_out",
    "scattered",
]


def generate(
    fitted: Fitted, steps: int, start: npt.ArrayLike | None = None, inputs: npt.ArrayLike | None = None
) -> Floats:
    """Lets a trained model run by itself.

    Args:
        fitted: the trained model.
        steps: rows to give.
        start: where to start, in data units: the last observed row (N,), or for delay-embedded models a window
            (W, N), oldest row first, of W = `embedding.rows_lost` + 1 rows or more (the last W count). None takes
            the stored start, the first state of the test piece.
        inputs: (steps, K) external inputs in data units for a model that is driven, row t acting on the step that
            gives row t; None for an autonomous one.

    Returns:
        (steps, N) float64 in data units; row 0 is the first step AFTER `start`. Computed in float64 from the stored
        weights, so that any reader can repeat it (to rounding, which chaos amplifies: about as long as
        ln(1e15) / lambda_max steps). Values that leave all bounds stay visible as inf or NaN.

    Raises:
        BadShape, NotFinite: `start` is no such row or window.
        Inconsistent: inputs are missing, or not wanted, or not `steps` rows of K.
    """
    z0 = fitted.latent_start if start is None else infer_latent(fitted, start)
    return read_out(fitted, free_latent(fitted, steps, z0, inputs))


def free_latent(
    fitted: Fitted, steps: int, z0: npt.ArrayLike | None = None, inputs: npt.ArrayLike | None = None
) -> Floats:
    """The latent states of a free run: z_1 ... z_steps from z0 (M,), or from the stored start; (steps, M) float64."""
    start = fitted.latent_start if z0 is None else np.asarray(z0, np.float64)
    z: Floats = free_latents(fitted, steps, start[None], inputs)[0]
    return z


def free_latents(fitted: Fitted, steps: int, z0: Floats, inputs: npt.ArrayLike | None = None) -> Floats:
    """Free runs from several states (K, M), all under the same inputs (steps, inputs): (K, steps, M) float64.

    Raises:
        Inconsistent: inputs are missing, or not wanted, or not `steps` rows of them.
    """
    u = fitted.drive(inputs)
    if u is not None and u.shape != (steps, fitted.cell.inputs):
        raise Inconsistent(f"{steps} steps need inputs of shape ({steps}, {fitted.cell.inputs}), not {u.shape}")
    return orbits(fitted.cell, fitted.params, z0, steps, None if u is None else np.broadcast_to(u, (len(z0), *u.shape)))


def scattered(z0: Floats, members: int, spread: float, seed: int) -> Floats:
    """Starts around each start: normal with deviation `spread` in every number of the state, in the cell's units.

    Args:
        z0: (K, M) states.
        members: starts for each of them.
        spread: in the cell's units, in which each channel has standard deviation 1; 0 repeats the start.
        seed: of the draws.

    Returns:
        (K * members, M), the members of one start side by side.
    """
    noise = np.random.default_rng(seed).standard_normal((len(z0) * members, z0.shape[1]))
    return np.repeat(z0, members, axis=0) + spread * noise


def checked_rows(rows: Sequence[Sequence[float | None]], names: Sequence[str]) -> Floats:
    """Rows of numbers as (T, N), N being as many as there are names.

    Raises:
        EmptyData: no row.
        RaggedRow: a row has another number of entries than there are names; field `row`.
        NotFinite: an entry is missing, NaN or infinite; fields `row`, `column`.
    """
    if not rows:
        raise EmptyData("there is no row")
    for row, entries in enumerate(rows):
        if len(entries) != len(names):
            wanted = f"{len(names)} are needed ({', '.join(names)})"
            raise RaggedRow(f"row {row} has {len(entries)} numbers; {wanted}", row=row)
    found = np.array(rows, np.float64)
    bad = np.argwhere(~np.isfinite(found))
    if bad.size:
        row, column = (int(place) for place in bad[0])
        raise NotFinite(f"row {row}, column '{names[column]}': {rows[row][column]}", row=row, column=names[column])
    return found


def forecast(fitted: Fitted, context: Floats, horizon: int, inputs: npt.ArrayLike | None = None) -> Floats:
    """What comes after a window of observations.

    Args:
        fitted: the trained model.
        context: (W, N) the last rows in data units, oldest first; of them the last `embedding.rows_lost` + 1 make the
            state, as in every score.
        horizon: rows to give.
        inputs: see `generate`.

    Returns:
        (horizon, N); row 0 is one step after the window.

    Raises:
        TooShort: the window does not hold one state.
        Inconsistent: see `generate`.
    """
    needed = fitted.embedding.rows_lost + 1
    if len(context) < needed:
        raise TooShort(f"{len(context)} rows of context; {needed} are needed", rows=len(context), rows_needed=needed)
    return generate(fitted, horizon, context, inputs)


def infer_latent(fitted: Fitted, start: npt.ArrayLike) -> Floats:
    """The latent state (M,) that belongs to a row (N,) or a window (W, N) of data, see `generate`."""
    window = np.asarray(start, np.float64)
    rows = fitted.embedding.rows_lost + 1
    if window.ndim < 2:
        window = window.reshape(-1, 1) if fitted.channels == 1 else window[None]
    if window.ndim != 2 or window.shape[1] != fitted.channels or len(window) < rows:
        wanted = f"({fitted.channels},)" if rows == 1 else f"({rows}, {fitted.channels})"
        raise BadShape(f"a start of shape {np.shape(start)}; {wanted} is needed", shape=list(np.shape(start)))
    if not np.isfinite(window[-rows:]).all():
        raise NotFinite("the start holds an entry that is missing or not finite")
    state = delay_embed(fitted.scaling.apply(window[-rows:]), fitted.embedding)
    d = fitted.observation.infer(as_arrays(fitted.params), as_array(state), fitted.cell.state_size)
    z: Floats = as_numpy(d)[0].copy()
    return z


def read_out(fitted: Fitted, z: Floats) -> Floats:
    """Latent states (T, M) to data units (T, N); of a delay embedding the newest coordinates are read."""
    with np.errstate(all="ignore"):
        seen = fitted.observation.predict(as_arrays(fitted.params), as_array(z), fitted.observed)
        x: Floats = fitted.scaling.undo(as_numpy(seen)[..., : fitted.channels])
    return x
