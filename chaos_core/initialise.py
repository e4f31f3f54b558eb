"""Start values of parameters, by name."""

from collections.abc import Callable, Mapping

import numpy as np

from chaos_core.typing import Floats, Param

__all__ = ["INITIALISERS", "draw"]

Initialiser = Callable[[tuple[int, ...], float, np.random.Generator], Floats]


def zeros(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> Floats:
    """All zero; neither `scale` nor `rng` is used."""
    del scale, rng
    return np.zeros(shape)


def normal(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> Floats:
    """Independent normal numbers with standard deviation `scale`."""
    return scale * rng.standard_normal(shape)


def uniform(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> Floats:
    """Independent numbers, uniform in [-scale, scale]."""
    return rng.uniform(-scale, scale, shape)


def uniform_off_diagonal(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> Floats:
    """`uniform` with zeros on the diagonal of a square matrix."""
    drawn = uniform(shape, scale, rng)
    np.fill_diagonal(drawn, 0.0)
    return drawn


def talathi_vartak(shape: tuple[int, ...], scale: float, rng: np.random.Generator) -> Floats:
    """The diagonal of K / rho(K), K = I + R'R / M, R an (M, M) matrix of standard normal numbers.

    K is positive definite, so all entries lie in (0, 1]: units that remember, none that grows. `scale` is not used.

    Source: Talathi, Vartak (2015), Improving performance of recurrent neural network with ReLU nonlinearity,
        arXiv:1511.03771.
    Differs: they use the whole matrix; here, as in the code of Hess et al. (2023), its diagonal becomes A.
    """
    del scale
    (m,) = shape
    r = rng.standard_normal((m, m))
    k = np.eye(m) + r.T @ r / m
    diagonal: Floats = np.diag(k) / np.linalg.eigvalsh(k)[-1]
    return diagonal


INITIALISERS: dict[str, Initialiser] = {
    function.__name__: function for function in (zeros, normal, uniform, uniform_off_diagonal, talathi_vartak)
}


def draw(params: Mapping[str, Param], rng: np.random.Generator) -> dict[str, Floats]:
    """Draws start values for a set of parameters.

    Args:
        params: shapes and initialisers, say `cell.parameters() | observation.parameters(M, N)`.
        rng: source of randomness; the same state gives the same values, drawn in the order of `params`.

    Returns:
        name -> float64 array of the wanted shape, in the same order.
    """
    return {name: INITIALISERS[param.init](param.shape, param.scale, rng) for name, param in params.items()}
