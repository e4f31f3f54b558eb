"""What the attributes of NetCDF say about the numbers beside them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["decoded"]


def decoded(values: npt.NDArray[Any], attribute: Callable[[str], Any]) -> npt.NDArray[Any]:
    """Numbers as NetCDF's conventions mean them: fill values are missing, and packed integers are scaled.

    Args:
        values: as stored.
        attribute: gives an attribute of the array by name, None where there is none.
    """
    gone = [_scalar(attribute(name)) for name in ("_FillValue", "missing_value")]
    scale, offset = _scalar(attribute("scale_factor")), _scalar(attribute("add_offset"))
    if all(value is None for value in (*gone, scale, offset)):
        return values
    numbers = values.astype(np.float64)
    for value in gone:
        if value is not None:
            numbers[values == value] = np.nan
    return numbers * (1.0 if scale is None else scale) + (0.0 if offset is None else offset)


def _scalar(value: Any) -> float | None:
    flat = np.asarray(value).reshape(-1)
    return float(flat[0]) if value is not None and flat.size == 1 and flat.dtype.kind in "fiu" else None
