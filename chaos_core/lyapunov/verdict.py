"""What kind of dynamics a series shows, and why."""

from enum import StrEnum

__all__ = ["Verdict"]


class Verdict(StrEnum):
    """The kinds of dynamics that an analysis can name; `undecided` where the evidence is weak or contradictory."""

    CHAOTIC = "chaotic"
    PERIODIC = "periodic"
    QUASI_PERIODIC = "quasi_periodic"
    FIXED_POINT = "fixed_point"
    STOCHASTIC = "stochastic"
    UNDECIDED = "undecided"
