import numpy as np
import pytest

from chaos_core.embedding import Embedding, delay_embed
from chaos_core.errors import TooShort
from chaos_core.series import Scaling
from chaos_core.slopes import data_slopes
from chaos_core.systems import lorenz63, with_noise
from chaos_core.typing import Floats
from chaos_core.windows import Rows, embedded_rows

DT = 0.01
NUDGE = 1e-6


def field(s: Floats) -> Floats:
    x, y, z = s.T
    return np.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], 1)


def one_row_later(s: Floats) -> Floats:
    for _ in range(4):
        h = DT / 4
        a = field(s)
        b = field(s + h / 2 * a)
        c = field(s + h / 2 * b)
        s = s + h / 6 * (a + 2 * b + 2 * c + field(s + h * c))
    return s


def true_slopes(states: Floats, spread: Floats) -> Floats:
    """(P, 3, 3) in scaled units, by central differences of the equations' own step."""
    columns = [(one_row_later(states + NUDGE * e) - one_row_later(states - NUDGE * e)) / (2 * NUDGE) for e in np.eye(3)]
    return np.stack(columns, axis=2) * spread / spread[:, None]


def error_at(noise: float) -> float:
    """Of the slopes less the identity, relative to the size of these."""
    clean = lorenz63(8000)
    series = with_noise(clean, noise) if noise else clean
    scaling = Scaling.of(series)
    points, found = data_slopes(embedded_rows(series, scaling, Embedding()), Embedding())
    assert len(points) == len(found) == 4000
    wanted = true_slopes(scaling.undo(points), np.asarray(scaling.std))
    return float(np.sqrt(np.square(found - wanted).sum() / np.square(wanted - np.eye(3)).sum()))


@pytest.mark.parametrize(("noise", "most"), [(0.0, 0.005), (0.01, 0.2), (0.05, 0.4)])
def test_the_slopes_are_those_of_the_equations(noise: float, most: float) -> None:
    """Without the filter the errors at 1 and 5 % noise are 3.4 and 3.7."""
    assert error_at(noise) < most


def test_the_points_of_delayed_data_are_delay_vectors_of_the_same_runs() -> None:
    embedding = Embedding(dim=3, lag=5)
    x = np.sin(np.arange(600.0) / 7)[:, None]
    states = [delay_embed(run, embedding) for run in (x[:300], x[300:320], x[320:])]
    z = np.concatenate(states)
    edges = tuple(np.cumsum([0, *map(len, states)]).tolist())
    points, slopes = data_slopes(Rows(z, edges, np.zeros((len(z), 0)), z), embedding)
    assert slopes.shape == (len(points), 3, 3)
    assert all((np.abs(z - point).max(axis=1) < 1e-12).any() for point in points)


def test_rows_without_any_run_are_refused() -> None:
    z = np.zeros((12, 1))
    with pytest.raises(TooShort, match="losses"):
        data_slopes(Rows(z, (0, 4, 8, 12), np.zeros((12, 0)), z), Embedding())
