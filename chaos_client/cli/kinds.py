import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chaos_core.families import FAMILIES, described
from chaos_core.registry import summary_of


def kinds(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print them as JSON, with the schema of their settings.")
    ] = False,
) -> None:
    """List what a spec may name: cells, observations, forcings, losses, baselines."""
    if as_json:
        found = {
            family: [described(kind, settings)._asdict() for kind, settings in members.items()]
            for family, members in FAMILIES.items()
        }
        typer.echo(json.dumps(found, indent=2))
        return
    table = Table("family", "kind", "what it is")
    for family, members in FAMILIES.items():
        for kind, settings in members.items():
            table.add_row(family, kind, escape(summary_of(settings)))
        table.add_section()
    Console().print(table)
