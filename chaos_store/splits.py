"""Shares of a series, stored with its dataset."""

from collections.abc import Mapping
from typing import Any

from .states import Kind

__all__ = ["SPLITTING", "with_split"]

SPLITTING = frozenset({Kind.train.value, Kind.baseline.value})


def with_split(kind: str, spec: Mapping[str, Any] | None, split: Mapping[str, Any] | None) -> dict[str, Any]:
    """An order that leaves the split to us takes the dataset's; where there is none either, it stays as it is."""
    order = dict(spec or {})
    if split is not None and kind in SPLITTING and order.get("split", "auto") == "auto":
        order["split"] = dict(split)
    return order
