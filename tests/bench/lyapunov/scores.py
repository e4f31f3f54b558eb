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
    held = [e for e in found if e.low is not None and e.high is not None and e.value is not None and e.value > 0]
    inside = np.mean([e.low <= e.true <= e.high for e in held if e.low is not None and e.high is not None])
    width = np.median([(e.high - e.low) / e.value for e in held if e.high and e.low is not None and e.value])
    return f"{inside:.0%} | {width:.0%}"
