"""All cells: the final classes found in this folder's files. To add one, add a file."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import BaseModel, Field

from chaos_core.auto import auto_variant
from chaos_core.cells.base import Cell, Param
from chaos_core.registry import find

__all__ = ["CELLS", "AnyCell", "AnyCellSpec", "Cell", "Param", "fill"]

CELLS: dict[str, type[Cell]] = find(__name__, __path__, Cell)

if TYPE_CHECKING:
    AnyCell: TypeAlias = Cell
    AnyCellSpec: TypeAlias = BaseModel
else:
    AnyCell = Annotated[reduce(or_, CELLS.values()), Field(discriminator="kind")]
    AnyCellSpec = Annotated[reduce(or_, map(auto_variant, CELLS.values())), Field(discriminator="kind")]


def fill(spec: BaseModel, *, observed: int, embedded: bool = False, inputs: int = 0) -> Cell:
    """The cell that a spec asks for, with every "auto" replaced by that cell's own rule (see its `fill`).

    Args:
        spec: one of `AnyCellSpec`.
        observed: channels that the cell sees, N or N times the embedding dimension.
        embedded: whether those channels are a delay embedding.
        inputs: external inputs of the data; a cell takes them all unless the client says how many.
    """
    words: dict[str, Any] = spec.model_dump()
    if words["inputs"] == "auto":
        words["inputs"] = inputs
    return CELLS[words["kind"]].fill(words, observed=observed, embedded=embedded)
