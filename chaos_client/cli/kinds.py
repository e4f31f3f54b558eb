import json
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chaos_core.baselines import BASELINES
from chaos_core.cells import CELLS
from chaos_core.forcing import FORCINGS
from chaos_core.losses import LOSSES
from chaos_core.observation import OBSERVATIONS

FAMILIES: dict[str, dict[str, Any]] = {
    "cell": CELLS,
    "observation": OBSERVATIONS,
    "forcing": FORCINGS,
    "loss": LOSSES,
    "baseline": BASELINES,
}


def kinds(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print them as JSON, with the schema of their settings.")
    ] = False,
) -> None:
    """List what a spec may name: cells, observations, forcings, losses, baselines."""
    if as_json:
        found = {family: {kind: _facts(made) for kind, made in members.items()} for family, members in FAMILIES.items()}
        typer.echo(json.dumps(found, indent=2))
        return
    table = Table("family", "kind", "what it is")
    for family, members in FAMILIES.items():
        for kind, made in members.items():
            table.add_row(family, kind, escape(_summary(made)))
        table.add_section()
    Console().print(table)


def _summary(made: type[BaseModel]) -> str:
    return (made.__doc__ or "").strip().partition("\n")[0]


def _facts(made: type[BaseModel]) -> dict[str, Any]:
    known = {name: getattr(made, name) for name in ("equation", "citation") if hasattr(made, name)}
    return {"summary": _summary(made), **known, "settings_schema": made.model_json_schema()}
