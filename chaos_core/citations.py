"""The papers behind a trained model, read off the registries: cell, observation, forcing, losses, metrics."""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from chaos_core.families import FAMILIES
from chaos_core.metrics import METRICS

__all__ = ["Citation", "citations"]

SOURCE = re.compile(r"^Source: (.*?)(?=^\w+:|^$|\Z)", re.MULTILINE | re.DOTALL)


class Citation(NamedTuple):
    """One source and what of the work it stands for.

    Args:
        of: such as "cell clipped_shplrnn" or "metric d_stsp".
        source: authors, year, title, DOI or arXiv number, as the registry has it.
    """

    of: str
    source: str


def citations(plan: Mapping[str, Any], metrics: Iterable[str]) -> list[Citation]:
    """What to cite for a training and its scores.

    Args:
        plan: the plan as JSON; parts that it lacks are left out.
        metrics: names of the scores.

    Returns:
        In the order of the work, each kind once; kinds without a source (the squared error) are left out.
    """
    parts = [(family, word, plan.get(word)) for family, word in (("cells", "cell"), ("observations", "observation"))]
    parts += [("forcings", "forcing", plan.get("forcing"))]
    parts += [("losses", "loss", loss) for loss in plan.get("losses") or ()]
    named = [(f"{word} {part['kind']}", FAMILIES[family].get(part["kind"])) for family, word, part in parts if part]
    named += [(f"metric {name}", getattr(METRICS.get(name), "measure", None)) for name in metrics]
    found = {of: _source(documented) for of, documented in named if documented is not None}
    return [Citation(of, source) for of, source in found.items() if source]


def _source(documented: Any) -> str | None:
    written = getattr(documented, "citation", None)
    if written is None:
        match = SOURCE.search(inspect.getdoc(documented) or "")
        written = match and " ".join(match[1].split())
    return None if written is None else str(written).rstrip(".")
