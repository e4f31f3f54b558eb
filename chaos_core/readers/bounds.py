"""Judges what a file announces, before any of it is read."""

import math
from collections.abc import Sequence

from chaos_core.errors import BadShape, EmptyData, TooLarge, UnreadableFile
from chaos_core.readers.limits import Limits
from chaos_core.readers.refusals import ExpandsTooFar, TooManyMembers

__all__ = ["bound_expansion", "bound_members", "bound_shape"]

FREE_BYTES = 64 * 1024 * 1024
"""Up to here the ratio does not matter: small files of zeros are no attack."""


def bound_shape(shape: Sequence[int], limits: Limits) -> None:
    """Refuses a shape that is no table or has too many rows or columns.

    Raises:
        UnreadableFile: a negative length.
        BadShape: not one or two axes.
        EmptyData: no number.
        TooLarge: with `value` and `limit`.
    """
    if any(length < 0 for length in shape):
        raise UnreadableFile(f"the header names an impossible shape {tuple(shape)}")
    if len(shape) not in (1, 2):
        raise BadShape(f"an array of shape {tuple(shape)} is not (T,) or (T, N)", shape=list(shape))
    if math.prod(shape) == 0:
        raise EmptyData(f"an array of shape {tuple(shape)} holds no number", shape=list(shape))
    allowed = zip(("rows", "columns"), shape, (limits.max_rows, limits.max_columns), strict=False)
    for what, value, limit in allowed:
        if value > limit:
            raise TooLarge(
                f"{value} {what}; at most {limit} are allowed (time runs along the first axis)",
                value=value,
                limit=limit,
            )


def bound_expansion(expanded: int, packed: int, limits: Limits) -> None:
    """Refuses content that is far larger than the bytes it comes from.

    Args:
        expanded: bytes that come out, so far or as announced.
        packed: bytes that went in.
        limits: of these `max_expanded_bytes` and `max_expansion_ratio`.

    Raises:
        ExpandsTooFar: with `value` and `limit`.
    """
    if expanded > limits.max_expanded_bytes:
        limit = limits.max_expanded_bytes
        raise ExpandsTooFar(f"the content has more than {limit} bytes", value=expanded, limit=limit)
    if expanded > FREE_BYTES and expanded > limits.max_expansion_ratio * max(1, packed):
        ratio, limit = expanded // max(1, packed), limits.max_expansion_ratio
        detail = f"{packed} bytes become {expanded}, {ratio} times as many; at most {limit} times are allowed"
        raise ExpandsTooFar(detail, value=ratio, limit=limit)


def bound_members(count: int, limits: Limits) -> None:
    """Refuses files of too many parts.

    Raises:
        TooManyMembers: with `value` and `limit`.
    """
    if count > limits.max_file_members:
        detail = f"{count} parts or more; at most {limits.max_file_members} are allowed"
        raise TooManyMembers(detail, value=count, limit=limits.max_file_members)
