"""A trained model as an ONNX graph of one step, for runtimes that know nothing of this package."""

import json
from typing import Any, Literal, NamedTuple

import numpy as np

from chaos_core.fitted import Fitted, config
from chaos_core.recording import BY_NAME, Recorded, Recording, record_step, sources_first

__all__ = ["OPSET", "Precision", "to_onnx"]

OPSET = 18
IR_VERSION = 9
"""Both of 2022 and 2023: what older runtimes still read."""

Precision = Literal["float32", "float64"]

MEANING = (
    "One step: z (K, M) latent states in the cell's own units, u (K, inputs) external inputs in data units where there "
    "are any; z_next (K, M), and x (K, N), what is seen of z_next, in data units. Feed z_next back as z. Metadata key "
    "`chaos` holds the settings, the scaling and the stored start `latent_start`."
)


class Cut(NamedTuple):
    """An index in the words of ONNX: cut, then drop axes, then add some.

    Args:
        slices: (axis, first, last) of what is cut.
        dropped: axes that an integer picked one entry of.
        added: axes of length one in the result.
    """

    slices: list[tuple[int, int, int]]
    dropped: list[int]
    added: list[int]


def to_onnx(fitted: Fitted, precision: Precision | None = None) -> bytes:
    """One step of a trained model as an ONNX file.

    The graph comes from the recorded operations, so a new cell needs nothing here. What depends on parameters alone
    (transposes, zero diagonals) is done before, in float64.

    Args:
        fitted: the trained model.
        precision: of inputs, weights and outputs; that of the training where left out. In float64 the step is the
            stored trajectory's to rounding; not every runtime has float64, so graphs are mostly float32.

    Returns:
        A model of opset 18 with inputs `z` and, for a driven model, `u`, outputs `z_next` and `x`, the number of rows
        K being free; `config` as JSON under the metadata key `chaos`. The same model gives the same bytes.

    Raises:
        NotImplementedError: see `record_step`.

    Source: ONNX, Open Neural Network Exchange, operator set 18, https://onnx.ai/onnx/operators/.
    """
    import onnx
    from onnx import TensorProto, helper

    chosen = precision or str(next(iter(fitted.params.values())).dtype)
    graph = _Graph(record_step(fitted), np.dtype(chosen))
    kind = TensorProto.FLOAT if chosen == "float32" else TensorProto.DOUBLE

    def ports(tensors: dict[str, Recorded]) -> list[Any]:
        return [helper.make_tensor_value_info(name, kind, ["K", tensor.shape[-1]]) for name, tensor in tensors.items()]

    made = helper.make_graph(
        graph.nodes, "step", ports(graph.recording.inputs), ports(graph.recording.outputs), graph.weights
    )
    whole: Any = helper.make_model(
        made, producer_name="chaos-service", opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    whole.doc_string = MEANING
    facts = json.dumps(config(fitted), allow_nan=False, sort_keys=True)
    onnx.helper.set_model_props(whole, {"chaos": facts})
    return bytes(whole.SerializeToString(deterministic=True))


class _Graph:
    """A recording as nodes and weights."""

    def __init__(self, recording: Recording, dtype: np.dtype[Any]) -> None:
        self.recording = recording
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._dtype = dtype
        self._names = {tensor: name for name, tensor in recording.inputs.items()}
        for tensor in sources_first(list(recording.outputs.values())):
            if tensor.varies and tensor.operation:
                self._names[tensor] = self._write(tensor)
        for name, tensor in recording.outputs.items():
            self._node("Identity", [self._name(tensor)], name)

    def _name(self, tensor: Recorded) -> str:
        """Of a tensor that stands in the graph; one made of parameters alone becomes a weight at its first use."""
        if tensor not in self._names:
            self._names[tensor] = self._weight(np.asarray(tensor.value).astype(self._dtype))
        return self._names[tensor]

    def _weight(self, value: np.ndarray[Any, Any]) -> str:
        from onnx import numpy_helper

        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name))
        return name

    def _node(self, kind: str, sources: list[str], name: str = "", **attributes: Any) -> str:
        from onnx import helper

        made = name or f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, sources, [made], **attributes))
        return made

    def _write(self, tensor: Recorded) -> str:
        kind, sources = BY_NAME[tensor.operation].onnx, [self._name(source) for source in tensor.sources]
        if tensor.operation == "index":
            return self._cut(sources[0], _cut_of(tensor.words[0], tensor.sources[0].shape))
        if tensor.operation == "concat":
            return self._node(kind, sources, axis=tensor.ndim - 1)
        if tensor.operation in ("mean", "sum"):
            return self._node(kind, [*sources, self._axes([tensor.ndim])], keepdims=0)
        if tensor.operation == "number":
            return self._node(kind, sources, to=1 if self._dtype == np.float32 else 11)
        return self._node(kind, sources)

    def _cut(self, source: str, cut: Cut) -> str:
        if cut.slices:
            places, first, last = zip(*cut.slices, strict=True)
            source = self._node("Slice", [source, *map(self._axes, (first, last, places))])
        for kind, axes in (("Squeeze", cut.dropped), ("Unsqueeze", cut.added)):
            if axes:
                source = self._node(kind, [source, self._axes(axes)])
        return source

    def _axes(self, axes: Any) -> str:
        return self._weight(np.array(axes, np.int64))


def _cut_of(item: Any, shape: tuple[int, ...]) -> Cut:
    """What an index does to an array of this shape; steps other than one and arrays as indices are not known."""
    items = list(item) if isinstance(item, tuple) else [item]
    if Ellipsis not in items:
        items.append(Ellipsis)
    named = sum(part is not None and part is not Ellipsis for part in items)
    place = items.index(Ellipsis)
    items[place : place + 1] = [slice(None)] * (len(shape) - named)
    cut, axis, place = Cut([], [], []), 0, 0
    for part in items:
        if part is None:
            cut.added.append(place)
            place += 1
            continue
        first, last, step = part.indices(shape[axis]) if isinstance(part, slice) else (part, part + 1, 1)
        if step != 1 or first < 0:
            raise NotImplementedError(f"the index {part} cannot be exported; see chaos_core/onnx_model.py")
        if (first, last) != (0, shape[axis]):
            cut.slices.append((axis, first, max(first, last)))
        if isinstance(part, slice):
            place += 1
        else:
            cut.dropped.append(axis)
        axis += 1
    return cut
