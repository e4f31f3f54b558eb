"""The structures of arguments.hpp, field by field; the loader compares the sizes."""

import ctypes
from typing import TypeAlias

__all__ = ["FORMS", "OPTIMISERS", "READINGS", "LimitArguments", "PullArguments", "StepArguments"]

READINGS = {"units": 0, "started": 1, "linear": 2, "affine": 3}
FORMS = {"squares": 0, "absolute": 1, "root": 2}
OPTIMISERS = {"adam": 1, "adamw": 2, "radam": 3}

SIZES = ("rows", "batch", "steps", "latent", "state", "inner", "observed", "inputs")
INTEGERS = (*SIZES, "reading", "centred", "updates", "points", "matched", "pull_count", "limit_count")
OPTIMISER = ("learning_rate", "beta1", "beta2", "epsilon", "weight_decay", "clip_norm")
INPUTS = ("series", "seen", "drives", "starts", "masks", "mask_of", "rates")
TERMS = ("match_points", "match_slopes", "match_rows", "pulls", "limits")
RESULTS = ("losses", "penalties", "norms", "parameters", "gradient", "first_moment", "second_moment", "work")

Fields: TypeAlias = tuple[tuple[str, type[ctypes.c_int64 | ctypes.c_double | ctypes.c_void_p]], ...]


def _fields(of: type[ctypes.c_int64 | ctypes.c_double | ctypes.c_void_p], *names: str) -> Fields:
    return tuple((name, of) for name in names)


class StepArguments(ctypes.Structure):
    """What a call of training steps is given and gives back."""

    _fields_ = (
        *_fields(ctypes.c_int64, *INTEGERS, "optimiser", "iteration"),
        *_fields(ctypes.c_double, *OPTIMISER, "smoothing", "match_weight"),
        *_fields(ctypes.c_int64, "done"),
        *_fields(ctypes.c_void_p, *INPUTS, *TERMS, *RESULTS),
    )


class PullArguments(ctypes.Structure):
    """A pull on neighbouring parameters."""

    _fields_ = (
        *_fields(ctypes.c_int64, "begin", "count", "form"),
        *_fields(ctypes.c_double, "target", "weight"),
    )


class LimitArguments(ctypes.Structure):
    """A bound on neighbouring parameters."""

    _fields_ = (*_fields(ctypes.c_int64, "begin", "count"), *_fields(ctypes.c_double, "largest"))
