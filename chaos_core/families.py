"""What a spec may name: the registries of cells, observations, forcings, losses and baselines, under one roof."""

from typing import Any, NamedTuple

from pydantic import BaseModel

from chaos_core.baselines import BASELINES
from chaos_core.cells import CELLS
from chaos_core.forcing import FORCINGS
from chaos_core.losses import LOSSES
from chaos_core.observation import OBSERVATIONS
from chaos_core.registry import summary_of

__all__ = ["FAMILIES", "Kind", "described"]

FAMILIES: dict[str, dict[str, type[BaseModel]]] = {
    "cells": dict(CELLS),
    "observations": dict(OBSERVATIONS),
    "forcings": dict(FORCINGS),
    "losses": dict(LOSSES),
    "baselines": dict(BASELINES),
}


class Kind(NamedTuple):
    """One entry of a registry, in words.

    Args:
        kind: its name in a spec.
        summary: one line.
        equation, citation: None where it has none.
        settings_schema: JSON schema of its settings.
    """

    kind: str
    summary: str
    equation: str | None
    citation: str | None
    settings_schema: dict[str, Any]


def described(kind: str, settings: type[BaseModel]) -> Kind:
    """The entry of a registry in words."""
    equation, citation = (getattr(settings, name, None) for name in ("equation", "citation"))
    return Kind(kind, summary_of(settings), equation, citation, settings.model_json_schema())
