"""What a known system is: frozen settings that generate a series, with what is known of its dynamics beside them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, Field

from chaos_core.errors import Inconsistent, TooLarge, TooShort
from chaos_core.series import MIN_ROWS, Series
from chaos_core.typing import Floats

__all__ = ["SPROTT", "Meter", "Nature", "Rows", "Seed", "Step", "System", "Tolerance", "Transient"]

SPROTT = "J. C. Sprott (2003), Chaos and Time-Series Analysis, Oxford, appendix A"
"""The table that most exponents are from."""

Nature: TypeAlias = Literal["chaotic", "periodic", "quasi_periodic", "stochastic"]

Step: TypeAlias = Annotated[float, Field(gt=0, description="Sampling step, time units.")]
Transient: TypeAlias = Annotated[float, Field(ge=0, description="Time that is thrown away before row 0, time units.")]
Rows: TypeAlias = Annotated[int, Field(ge=0, description="Rows that are thrown away before row 0.")]
Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**63, description="Seed of all that is drawn.")]
Tolerance: TypeAlias = Annotated[
    float, Field(ge=1e-13, le=1e-9, description="Relative and absolute error of the integrator in one step.")
]


@dataclass
class Meter:
    """Counts the work of one generation and ends it at a limit, so that no parameters can hold a service up.

    Args:
        limit: most units; None for as many as it takes. A unit is one evaluation of a small flow in plain floats, about
            2 microseconds; what takes longer counts as several.
        used: units so far.
    """

    limit: int | None = None
    used: int = 0

    def charge(self, units: int) -> None:
        """Adds work, before it is done where its amount is known.

        Raises:
            TooLarge: with `value` and `limit`, once the limit is passed.
        """
        self.used += units
        if self.limit is not None and self.used > self.limit:
            raise TooLarge(
                f"generating takes more than {self.limit} evaluations of the equations: ask for fewer steps, "
                "a smaller dt or a shorter transient",
                value=self.used,
                limit=self.limit,
            )


class System(BaseModel, ABC, frozen=True, extra="forbid", allow_inf_nan=False):
    """Abstract: the settings of a system whose dynamics are known.

    A final class adds `kind: Literal[...]`, its parameters with the values of the literature as defaults, the facts
    below, and the abstract methods. Time is counted in the unit of its equations; for maps and processes, which have
    no `dt`, in rows.
    """

    equation: ClassVar[str]
    """The rule in one line of plain text."""
    citation: ClassVar[str]
    """Authors, year, title or journal, DOI."""
    nature: ClassVar[Nature]
    """What the default settings are, which an analysis of a long and clean series should find."""
    lambda_max: ClassVar[float | None]
    """Largest exponent at the default settings, nats per time unit of the series; None for noise, which has none."""
    lambda_source: ClassVar[str]
    """Where `lambda_max` and `spectrum` are from."""
    spectrum: ClassVar[tuple[float, ...] | None] = None
    """All exponents at the default settings where they are known, descending, nats per time unit."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The channels' names."""

    @abstractmethod
    def rows(self, steps: int, meter: Meter) -> Floats:
        """(steps, N) rows, or (steps,) for one channel, after the transient; may hold what is not finite.

        Args:
            steps: how many.
            meter: what to charge for the work.
        """

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the known external inputs that the series carries along; none unless a system says so."""
        return ()

    def drive(self, steps: int) -> Floats:
        """(steps, K) values of the external inputs; row t acts on the step that leads to row t."""
        return np.zeros((steps, 0))

    @property
    def sampling_step(self) -> float:
        """`dt` where it is a setting, else 1: the time unit of a map or a process is the row."""
        return float(getattr(self, "dt", 1.0))

    def generate(self, steps: int, *, limit: int | None = None) -> Series:
        """Rows of the system; equal settings give equal rows.

        Args:
            steps: T, how many rows.
            limit: most units of work, see `Meter`; None, the default, for a caller who can stop the program himself.

        Returns:
            Series (steps, N) without gaps, with the external inputs of a system that has them.

        Raises:
            TooShort: fewer steps than a series must have.
            TooLarge: more work than `limit`.
            Inconsistent: the orbit runs away at these parameters, with the `row`; or nothing can integrate it.
            ConstantChannel: the orbit rests at these parameters.
        """
        if steps < MIN_ROWS:
            raise TooShort(f"{steps} steps; at least {MIN_ROWS} are needed", rows=steps, rows_needed=MIN_ROWS)
        try:
            with np.errstate(all="ignore"):
                x = self.rows(steps, Meter(limit)).reshape(steps, -1)
        except OverflowError:
            raise self._runaway(None) from None
        lost = np.flatnonzero(~np.isfinite(x).all(axis=1))
        if lost.size:
            raise self._runaway(int(lost[0]))
        inputs = self.drive(steps) if self.input_names else None
        return Series(x, self.sampling_step, names=self.names, inputs=inputs, input_names=self.input_names or None)

    def _runaway(self, row: int | None) -> Inconsistent:
        kind = type(self).model_fields["kind"].default
        where = "before its first row" if row in (0, None) else f"at row {row}"
        words = ", ".join(f"{name}={value}" for name, value in self if isinstance(value, float | int))
        return Inconsistent(f"'{kind}' runs to infinity {where} with {words}", kind=kind, row=row)
