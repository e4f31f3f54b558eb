"""The reader that goes with a stored model: a short script with its equations written out, on numpy and safetensors."""

from collections import Counter
from typing import Any

from chaos_core.fitted import Fitted
from chaos_core.recording import BY_NAME, Recorded, Recording, record_step, sources_first

__all__ = ["READER_FILE", "reader_script"]

READER_FILE = "reader.py"
CHEAP = ("transpose", "index")
TIGHTEST = 3

HEAD = '''"""The {cell} of model.safetensors beside this file, in numpy; `python reader.py` writes a free run as CSV."""
import json, pathlib
import numpy as np
from safetensors import safe_open

with safe_open(pathlib.Path(__file__).with_name("model.safetensors"), "numpy") as file:
    model = json.loads(file.metadata()["chaos"])
    p = {{name: file.get_tensor(name).astype(float) for name in file.keys()}}
{fixed}
def step({arguments}):  # {shapes} -> the states one step later, and what is seen of them
{body}    return z_next, {x}
'''

RUN = """
if __name__ == "__main__":
    z, rows = np.array([model["latent_start"]]), []
    for _ in range(1000):
        z, x = step(z)
        rows.append(x[0])
    np.savetxt("run.csv", rows, delimiter=",", header=",".join(model["names"]), comments="", encoding="utf-8")
"""
AUTONOMOUS, DRIVEN = "states z (K, {m})", "states z (K, {m}), inputs u (K, {k}) in data units"


def reader_script(fitted: Fitted) -> str:
    """Python source that runs the trained model without this package.

    The step's text comes from the recorded operations, so a new cell needs nothing here; the weights are read from
    `model.safetensors`, which must lie beside the script.

    Args:
        fitted: the trained model.

    Returns:
        A script with a function `step`; as a program it writes a free run of a thousand rows from the stored start
        (not for a driven model, whose inputs it does not know).

    Raises:
        NotImplementedError: see `record_step`.
    """
    recording, driven = record_step(fitted), bool(fitted.cell.inputs)
    fixed, body, x = _Lines(recording).written()
    shapes = (DRIVEN if driven else AUTONOMOUS).format(m=fitted.cell.state_size, k=fitted.cell.inputs)
    head = HEAD.format(
        cell=type(fitted.cell).model_fields["kind"].default,
        arguments="z, u" if driven else "z",
        shapes=shapes,
        fixed="".join(f"{line}\n" for line in fixed),
        body="".join(f"    {line}\n" for line in body),
        x=x,
    )
    return head if driven else head + RUN


class _Lines:
    """The text of a recording: what is used twice gets a name, what is used once stands where it is used."""

    def __init__(self, recording: Recording) -> None:
        self._outputs = recording.outputs
        self._order = list(sources_first(list(recording.outputs.values())))
        self._uses = Counter(source for tensor in self._order for source in tensor.sources)
        self._names: dict[Recorded, str] = {}

    def written(self) -> tuple[list[str], list[str], str]:
        """Lines before the function, lines in it, and the expression of x."""
        fixed: list[str] = []
        body: list[str] = []
        for tensor in self._order:
            if tensor is self._outputs["z_next"]:
                body.append(self._assigned("z_next", tensor))
            elif self._deserves_a_name(tensor):
                lines, letter = (body, "v") if tensor.varies else (fixed, "c")
                lines.append(self._assigned(f"{letter}{len(lines) + 1}", tensor))
        return fixed, body, self._text(self._outputs["x"])[0]

    def _assigned(self, name: str, tensor: Recorded) -> str:
        text = self._text(tensor)[0]
        self._names[tensor] = name
        return f"{name} = {text}"

    def _deserves_a_name(self, tensor: Recorded) -> bool:
        if _is_view(tensor):
            return False
        if tensor.varies:
            return self._uses[tensor] > 1
        return self._used_by_the_step(tensor)

    def _used_by_the_step(self, tensor: Recorded) -> bool:
        """What is made of parameters alone is made once, before the function."""
        return any(user.varies for user in self._order if tensor in user.sources)

    def _text(self, tensor: Recorded) -> tuple[str, int]:
        """Source and how tightly it binds."""
        if tensor in self._names:
            return self._names[tensor], TIGHTEST
        if not tensor.operation:
            return tensor.text, TIGHTEST
        how = BY_NAME[tensor.operation]
        parts = [self._text(source) for source in tensor.sources]
        if tensor.operation == "concat":
            return how.text.format(", ".join(text for text, _ in parts)), how.binding
        words = [_item(word) if tensor.operation == "index" else str(word) for word in tensor.words]
        return how.text.format(*_bracketed(parts, how.needs), *words), how.binding


def _is_view(tensor: Recorded) -> bool:
    """What is given, or a part of it: as short as a name."""
    return not tensor.operation or (tensor.operation in CHEAP and _is_view(tensor.sources[0]))


def _bracketed(parts: list[tuple[str, int]], needs: int) -> list[str]:
    """Operators bind from left to right: of two equal ones the right one needs brackets."""
    least = [needs, *[needs + 1 if needs else 0] * (len(parts) - 1)]
    return [text if own >= wanted else f"({text})" for (text, own), wanted in zip(parts, least, strict=True)]


def _item(item: Any) -> str:
    if isinstance(item, tuple):
        return ", ".join(_item(part) for part in item)
    if isinstance(item, slice):
        first, last = ("" if end is None else str(end) for end in (item.start, item.stop))
        return f"{first}:{last}"
    return "..." if item is Ellipsis else str(item)
