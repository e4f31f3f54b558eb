"""Parameters by name: their shapes and their start values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from chaos_core.cells import Cell
from chaos_core.observation import Observation
from chaos_core.typing import Floats, Param

__all__ = ["INITIALISERS", "SCALED_EXTENT", "Source", "draw", "layout"]

SCALED_EXTENT = (-3.0, 3.0)
"""Where z-scored data lie, roughly; stands in for their range where no data are at hand."""


def layout(cell: Cell, observation: Observation, observed: int) -> dict[str, Param]:
    """Shapes of all parameters in the order of the flat vector: the cell's, then the observation's."""
    return cell.parameters() | observation.parameters(cell.latent, observed)


@dataclass(frozen=True)
class Source:
    """Where start values come from.

    Args:
        rng: randomness.
        extent: least and greatest entry of the scaled data.
        matrices: positive definite matrices drawn so far, by size: parameters of one cell share theirs.
    """

    rng: np.random.Generator
    extent: tuple[float, float] = SCALED_EXTENT
    matrices: dict[int, Floats] = field(default_factory=dict)

    def positive_definite(self, m: int) -> Floats:
        """K / rho(K) with K = I + R'R / M and R an (M, M) matrix of standard normal numbers; the same at each call."""
        if m not in self.matrices:
            r = self.rng.standard_normal((m, m))
            k = np.eye(m) + r.T @ r / m
            self.matrices[m] = k / np.linalg.eigvalsh(k)[-1]
        return self.matrices[m]


Initialiser = Callable[[tuple[int, ...], float, Source], Floats]


def zeros(shape: tuple[int, ...], scale: float, source: Source) -> Floats:
    """All zero; neither `scale` nor `source` is used."""
    del scale, source
    return np.zeros(shape)


def normal(shape: tuple[int, ...], scale: float, source: Source) -> Floats:
    """Independent normal numbers with standard deviation `scale`."""
    return scale * source.rng.standard_normal(shape)


def uniform(shape: tuple[int, ...], scale: float, source: Source) -> Floats:
    """Independent numbers, uniform in [-scale, scale]."""
    return source.rng.uniform(-scale, scale, shape)


def uniform_off_diagonal(shape: tuple[int, ...], scale: float, source: Source) -> Floats:
    """`uniform` with zeros on the diagonal of a square matrix."""
    drawn = uniform(shape, scale, source)
    np.fill_diagonal(drawn, 0.0)
    return drawn


def uniform_over_data(shape: tuple[int, ...], scale: float, source: Source) -> Floats:
    """Independent numbers, uniform between the least and the greatest entry of the scaled data; no `scale`."""
    del scale
    return source.rng.uniform(*source.extent, shape)


def talathi_vartak(shape: tuple[int, ...], scale: float, source: Source) -> Floats:
    """The diagonal of K / rho(K), K = I + R'R / M, R an (M, M) matrix of standard normal numbers.

    K is positive definite, so all entries lie in (0, 1]: units that remember, none that grows. `scale` is not used.

    Source: Talathi, Vartak (2015), Improving performance of recurrent neural network with ReLU nonlinearity,
        arXiv:1511.03771.
    Differs: they use the whole matrix; here, as in the code of Hess et al. (2023), its diagonal becomes A.
    """
    del scale
    (m,) = shape
    return np.diag(source.positive_definite(m)).copy()


def talathi_vartak_rest(shape: tuple[int, ...], scale: float, source: Source) -> Floats:
    """The matrix whose diagonal `talathi_vartak` took, with zeros in its place; `scale` is not used.

    Source: Talathi, Vartak (2015), arXiv:1511.03771; split in two as in the code of Brenner et al. (2022).
    """
    del scale
    rest = source.positive_definite(shape[0]).copy()
    np.fill_diagonal(rest, 0.0)
    return rest


INITIALISERS: dict[str, Initialiser] = {
    function.__name__: function
    for function in (
        zeros,
        normal,
        uniform,
        uniform_off_diagonal,
        uniform_over_data,
        talathi_vartak,
        talathi_vartak_rest,
    )
}


def draw(
    params: Mapping[str, Param], rng: np.random.Generator, extent: tuple[float, float] = SCALED_EXTENT
) -> dict[str, Floats]:
    """Draws start values for a set of parameters.

    Args:
        params: shapes and initialisers, say `cell.parameters() | observation.parameters(M, N)`.
        rng: source of randomness; the same state gives the same values, drawn in the order of `params`.
        extent: least and greatest entry of the scaled data, for thresholds that shall cover them.

    Returns:
        name -> float64 array of the wanted shape, in the same order.
    """
    source = Source(rng, extent)
    return {name: INITIALISERS[param.init](param.shape, param.scale, source) for name, param in params.items()}
