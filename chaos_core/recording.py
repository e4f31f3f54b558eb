"""One step of a trained model as a list of operations: what exports write down, in ONNX or as a line of numpy.

Cells are written with tensor methods only, so a third kind of tensor, beside torch's and `chaos_core.arrays.Array`, can
record them: it computes on numpy as it goes and remembers from what. A new cell is exported without a line of its own.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from chaos_core.arrays import as_array, concat
from chaos_core.fitted import Fitted
from chaos_core.typing import Params, Tensor

__all__ = ["BY_NAME", "Recorded", "Recording", "record_step", "sources_first"]

SAMPLE_ROWS = 2
ATOM, PRODUCT, SUM, ANYTHING = 3, 2, 1, 0


class Operation(NamedTuple):
    """What can be recorded.

    Args:
        run: on numpy.
        text: numpy source with one `{}` for each argument.
        binding: how tightly the text binds, `ATOM` where it never needs brackets.
        needs: how tightly the first argument must bind to stand without brackets; others one more.
        onnx: operator of ONNX; "" for what only happens to parameters and is done before the export.
    """

    run: Callable[..., Any]
    text: str
    binding: int
    needs: int
    onnx: str


BY_NAME: dict[str, Operation] = {
    "add": Operation(operator.add, "{} + {}", SUM, SUM, "Add"),
    "subtract": Operation(operator.sub, "{} - {}", SUM, SUM, "Sub"),
    "multiply": Operation(operator.mul, "{} * {}", PRODUCT, PRODUCT, "Mul"),
    "divide": Operation(operator.truediv, "{} / {}", PRODUCT, PRODUCT, "Div"),
    "matmul": Operation(operator.matmul, "{} @ {}", PRODUCT, PRODUCT, "MatMul"),
    "power": Operation(operator.pow, "np.power({}, {})", ATOM, ANYTHING, "Pow"),
    "greater": Operation(operator.gt, "({} > {})", ATOM, SUM, "Greater"),
    "less": Operation(operator.lt, "({} < {})", ATOM, SUM, "Less"),
    "relu": Operation(lambda z: z.relu(), "np.maximum({}, 0)", ATOM, ANYTHING, "Relu"),
    "tanh": Operation(lambda z: z.tanh(), "np.tanh({})", ATOM, ANYTHING, "Tanh"),
    "sigmoid": Operation(lambda z: z.sigmoid(), "1 / (1 + np.exp(-{}))", PRODUCT, ATOM, "Sigmoid"),
    "sqrt": Operation(lambda z: z.sqrt(), "np.sqrt({})", ATOM, ANYTHING, "Sqrt"),
    "abs": Operation(lambda z: abs(z), "np.abs({})", ATOM, ANYTHING, "Abs"),
    "number": Operation(lambda z: z.to(float), "{} * 1.0", PRODUCT, PRODUCT, "Cast"),
    "mean": Operation(lambda z: z.mean(-1), "{}.mean(-1)", ATOM, ATOM, "ReduceMean"),
    "sum": Operation(lambda z: z.sum(-1), "{}.sum(-1)", ATOM, ATOM, "ReduceSum"),
    "index": Operation(lambda z, item: z[item], "{}[{}]", ATOM, ATOM, "Slice"),
    "concat": Operation(lambda *z: concat(z), "np.concatenate([{}], axis=-1)", ATOM, ANYTHING, "Concat"),
    "transpose": Operation(lambda z: z.mT, "{}.T", ATOM, ATOM, ""),
    "tril": Operation(lambda z, diagonal: z.tril(diagonal), "np.tril({}, {})", ATOM, ANYTHING, ""),
    "triu": Operation(lambda z, diagonal: z.triu(diagonal), "np.triu({}, {})", ATOM, ANYTHING, ""),
}


@dataclass(frozen=True, eq=False)
class Recorded:
    """A tensor that knows its value and what it was made from. Made by `record_step`, never directly.

    Args:
        operation: a name in `BY_NAME`; "" for what is given: an input, a parameter, a number.
        sources: what it was made from.
        value: its value for a sample of states; exact where it depends on parameters alone.
        text: numpy source of what is given.
        words: further arguments of the operation that are no tensors.
        varies: whether it depends on an input.
    """

    operation: str
    sources: tuple["Recorded", ...]
    value: Any
    text: str = ""
    words: tuple[Any, ...] = ()
    varies: bool = field(default=False)

    __array_ufunc__ = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the value, the first axis of what varies being the sample's."""
        return cast(tuple[int, ...], self.value.shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> Any:
        """Of the value."""
        return self.value.dtype

    def _made(self, operation: str, *others: Any, words: tuple[Any, ...] = ()) -> "Recorded":
        return _apply(operation, (self, *others), words)

    def __add__(self, other: Any) -> "Recorded":
        return self._made("add", other)

    def __radd__(self, other: Any) -> "Recorded":
        return _apply("add", (other, self))

    def __sub__(self, other: Any) -> "Recorded":
        return self._made("subtract", other)

    def __rsub__(self, other: Any) -> "Recorded":
        return _apply("subtract", (other, self))

    def __mul__(self, other: Any) -> "Recorded":
        return self._made("multiply", other)

    def __rmul__(self, other: Any) -> "Recorded":
        return _apply("multiply", (other, self))

    def __truediv__(self, other: Any) -> "Recorded":
        return self._made("divide", other)

    def __rtruediv__(self, other: Any) -> "Recorded":
        return _apply("divide", (other, self))

    def __matmul__(self, other: Any) -> "Recorded":
        return self._made("matmul", other)

    def __pow__(self, other: Any) -> "Recorded":
        return self._made("power", other)

    def __gt__(self, other: Any) -> "Recorded":
        return self._made("greater", other)

    def __lt__(self, other: Any) -> "Recorded":
        return self._made("less", other)

    def __neg__(self) -> "Recorded":
        return _apply("multiply", (-1.0, self))

    def __abs__(self) -> "Recorded":
        return self._made("abs")

    def __getitem__(self, item: Any) -> "Recorded":
        return self._made("index", words=(item,))

    def relu(self) -> "Recorded":
        return self._made("relu")

    def tanh(self) -> "Recorded":
        return self._made("tanh")

    def sigmoid(self) -> "Recorded":
        return self._made("sigmoid")

    def sqrt(self) -> "Recorded":
        return self._made("sqrt")

    def to(self, dtype: npt.DTypeLike) -> "Recorded":
        """A comparison as zeros and ones; all numbers of a recording have one type."""
        del dtype
        return self._made("number")

    def mean(self, axis: int) -> "Recorded":
        """Over the last axis, the only one that cells average over."""
        return self._made("mean") if axis == -1 else _refuse(f"mean({axis})")

    def sum(self, axis: int) -> "Recorded":
        """Over the last axis."""
        return self._made("sum") if axis == -1 else _refuse(f"sum({axis})")

    @property
    def mT(self) -> "Recorded":  # noqa: N802
        """A parameter's two axes exchanged."""
        return self._made("transpose") if self.ndim == 2 else _refuse(f"mT of {self.ndim} axes")

    def tril(self, diagonal: int = 0) -> "Recorded":
        return self._made("tril", words=(diagonal,))

    def triu(self, diagonal: int = 0) -> "Recorded":
        return self._made("triu", words=(diagonal,))

    def concat(self, parts: Sequence["Recorded"]) -> "Recorded":
        """What `chaos_core.arrays.concat` asks of a tensor that is neither torch's nor numpy's."""
        return _apply("concat", tuple(parts))


def _refuse(what: str) -> Recorded:
    raise NotImplementedError(f"{what} cannot be exported; see chaos_core/recording.py")


def _apply(operation: str, sources: Sequence[Any], words: tuple[Any, ...] = ()) -> Recorded:
    known = tuple(source if isinstance(source, Recorded) else _number(source) for source in sources)
    how = BY_NAME[operation]
    varies = any(source.varies for source in known)
    if varies and not how.onnx:
        _refuse(f"`{operation}` of what depends on the state")
    value = how.run(*(source.value for source in known), *words)
    return Recorded(operation, known, value, words=words, varies=varies)


def _number(value: float) -> Recorded:
    return Recorded("", (), as_array(value), text=repr(float(value)))


@dataclass(frozen=True, eq=False)
class Recording:
    """One step from states and inputs to the next states and what is seen of them.

    Args:
        inputs: by name: `z` (K, M) latent states in the cell's units and, for a driven cell, `u` (K, inputs) in data
            units.
        outputs: by name: `z_next` (K, M), and `x` (K, N) in data units, which belongs to `z_next`.
    """

    inputs: dict[str, Recorded]
    outputs: dict[str, Recorded]


def record_step(fitted: Fitted) -> Recording:
    """Records one step of a trained model, in float64.

    Args:
        fitted: the trained model.

    Returns:
        The step z -> (z_next, x); iterated from `fitted.latent_start` it is the stored trajectory.

    Raises:
        NotImplementedError: the cell uses a tensor method that is not recorded; the conformance suite sees to it that
            no cell does.
    """
    p = cast(Params, {name: _given(f'p["{name}"]', value) for name, value in fitted.params.items()})
    inputs = {"z": _input("z", fitted.cell.state_size)}
    s: Tensor | None = None
    if fitted.cell.inputs:
        inputs["u"] = _input("u", fitted.cell.inputs)
        seen, scaling = inputs["u"], fitted.input_scaling
        if scaling is not None:
            seen = (seen - _fact("inputs", "mean", scaling.mean)) / _fact("inputs", "std", scaling.std)
        s = fitted.cell.drive(p, cast(Tensor, seen))
    with np.errstate(all="ignore"):
        z_next = fitted.cell.bind(p)(cast(Tensor, inputs["z"]), s)
        x = cast(Recorded, fitted.observation.predict(p, z_next, fitted.observed))
        x = x if fitted.embedding.dim == 1 else x[..., : fitted.channels]
        std, mean = (_fact("scaling", word, getattr(fitted.scaling, word)) for word in ("std", "mean"))
        return Recording(inputs, {"z_next": cast(Recorded, z_next), "x": x * std + mean})


def _given(text: str, value: npt.ArrayLike) -> Recorded:
    return Recorded("", (), as_array(value), text=text)


def _fact(part: str, word: str, value: npt.ArrayLike) -> Recorded:
    return _given(f'model["{part}"]["{word}"]', value)


def _input(name: str, width: int) -> Recorded:
    return Recorded("", (), as_array(np.ones((SAMPLE_ROWS, width))), text=name, varies=True)


def sources_first(outputs: Sequence[Recorded]) -> Iterator[Recorded]:
    """All that the outputs were made from and they themselves, each once, sources first."""
    done: set[Recorded] = set()
    waiting = [(output, False) for output in reversed(outputs)]
    while waiting:
        tensor, ready = waiting.pop()
        if tensor in done:
            continue
        if ready:
            done.add(tensor)
            yield tensor
        else:
            waiting.append((tensor, True))
            waiting += [(source, False) for source in reversed(tensor.sources)]
