"""Systems whose dynamics are known: data for demonstrations and truth for tests.

`SYSTEMS` lists them with what an analysis must find; each is a function of the number of rows.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from chaos_core.series import Series
from chaos_core.systems.flows import integrate, lorenz63, rossler
from chaos_core.systems.maps import henon, ikeda, logistic
from chaos_core.systems.processes import ar1, ar2, sine, surrogate, two_torus, white_noise, with_noise

__all__ = [
    "SYSTEMS",
    "System",
    "ar1",
    "ar2",
    "henon",
    "ikeda",
    "integrate",
    "logistic",
    "lorenz63",
    "rossler",
    "sine",
    "surrogate",
    "two_torus",
    "white_noise",
    "with_noise",
]


@dataclass(frozen=True)
class System:
    """One entry of the registry.

    Args:
        make: rows -> series, at the parameters that `lambda_max` belongs to.
        nature: the verdict that an analysis should reach.
        lambda_max: published or exact largest exponent, nats per time unit of the series; None for noise.
    """

    make: Callable[[int], Series]
    nature: str
    lambda_max: float | None


SYSTEMS: dict[str, System] = {
    "lorenz63": System(lorenz63, "chaotic", 0.9056),
    "rossler": System(rossler, "chaotic", 0.0714),
    "henon": System(henon, "chaotic", 0.4192),
    "ikeda": System(ikeda, "chaotic", 0.507),
    "logistic": System(logistic, "chaotic", math.log(2)),
    "sine": System(sine, "periodic", 0.0),
    "two_torus": System(two_torus, "quasi_periodic", 0.0),
    "white_noise": System(white_noise, "stochastic", None),
    "ar1": System(ar1, "stochastic", None),
    "ar2": System(ar2, "stochastic", None),
}
