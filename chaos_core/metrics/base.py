"""What a metric is to those who list all of them: a function, what it must be given, and which way is better."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Literal

from chaos_core.metrics.score import Score

__all__ = ["Metric", "Needs", "collect"]

Needs = Literal["free_run", "forecast_from_every_row", "forecast_curve", "forecast_path", "exponents"]
"""What the second argument of the function is, after the truth.

free_run: (T', N), one long run by itself. forecast_from_every_row: (T, N), row t made a fixed number of steps earlier.
forecast_curve: (n, K, N), from K rows 1 to n steps ahead. forecast_path: (T, N), one forecast that goes on from the row
before the first. exponents: (M,), the Lyapunov exponents of a trained cell, which take the place of both series.
"""


@dataclass(frozen=True)
class Metric:
    """One entry of `METRICS`; a metric's file defines one for each function.

    Args:
        measure: the function; its `__name__` is the metric's name, and it returns a `Score`.
        needs: what it must be given, see `Needs`.
        better: "low", "high", or "one" for a ratio that should be 1.
        unit: of the value: "none", "nats", "data squared", "per cent", "lyapunov times".
        requires: names of arguments without a default, beside the first two.
    """

    measure: Callable[..., Score]
    needs: Needs
    better: Literal["low", "high", "one"]
    unit: Literal["none", "nats", "data squared", "per cent", "lyapunov times"]
    requires: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name under which it is found and stored."""
        return self.measure.__name__


def collect(package: str, path: Iterable[str]) -> dict[str, Metric]:
    """Imports each module of a folder and collects the metrics that it defines.

    Args:
        package: the folder's import name, `__name__` of its `__init__`.
        path: its `__path__`.

    Returns:
        name -> metric, in alphabetical order, so that tables come out the same everywhere.

    Raises:
        TypeError: two metrics claim one name.
    """
    found: dict[str, Metric] = {}
    for module in sorted(info.name for info in iter_modules(path)):
        home = f"{package}.{module}"
        for metric in vars(import_module(home)).values():
            if not isinstance(metric, Metric) or metric.measure.__module__ != home:
                continue
            if metric.name in found:
                raise TypeError(f"two metrics claim the name '{metric.name}'")
            found[metric.name] = metric
    return dict(sorted(found.items()))
