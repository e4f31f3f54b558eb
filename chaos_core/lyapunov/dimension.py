"""The dimension that a spectrum of exponents implies."""

import numpy as np

from chaos_core.typing import Floats

__all__ = ["kaplan_yorke"]


def kaplan_yorke(spectrum: Floats) -> float:
    """D_KY = k + (lambda_1 + ... + lambda_k) / |lambda_{k+1}|, k the most exponents with a sum that is not negative.

    Args:
        spectrum: (D,) exponents, any order and unit.

    Returns:
        0 where all are negative, D where even the sum of all is not (volumes do not shrink).

    Source: P. Frederickson, J. L. Kaplan, E. D. Yorke, J. A. Yorke (1983), doi:10.1016/0022-0396(83)90011-6.
    """
    falling = np.sort(spectrum)[::-1]
    sums = np.cumsum(falling)
    if sums[-1] >= 0:
        return float(len(falling))
    k = int((sums < 0).argmax())
    return float(k + sums[k - 1] / abs(falling[k])) if k else 0.0
