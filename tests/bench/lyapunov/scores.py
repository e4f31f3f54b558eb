"""What is said of a list of estimates, given the truth."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

__all__ = ["Estimate", "accuracy", "intervals"]


@dataclass(frozen=True)
class Estimate:
    """One answer, nats a row; `value` None where there was none, which counts as wrong by any measure."""

    name: str
    true: float
    value: float | None
    low: float | None = None
    high: float | None = None
    verdict: str = ""
    seconds: float = 0.0

    @property
    def error(self) -> float:
        return float("inf") if self.value is None else abs(self.value - self.true) / self.true


def accuracy(found: list[Estimate]) -> str:
    errors = np.array([estimate.error for estimate in found])
    values = [0.0 if estimate.value is None else estimate.value for estimate in found]
    rank = spearmanr(values, [estimate.true for estimate in found])[0] if len(found) > 2 else float("nan")
    median, far, within = np.median(errors), np.quantile(errors, 0.9), np.mean(errors < 0.2)
    return f"{median:.3f} | {far:.2f} | {within:.0%} | {rank:.3f}"


def intervals(found: list[Estimate]) -> str:
    """Share of the 90 % intervals that hold the truth, and their median width as a share of the value."""
    held = [(e.low, e.high, e.value, e.true) for e in found]
    ends = np.array([row for row in held if None not in row], float)
    ends = ends[ends[:, 2] > 0]
    low, high, value, true = ends.T
    inside, width = np.mean((low <= true) & (true <= high)), np.median((high - low) / value)
    return f"{inside:.0%} | {width:.0%}"
