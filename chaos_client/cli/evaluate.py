import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chaos_client.cli.doctor import DataDir
from chaos_client.cli.refusing import refuse, refusing
from chaos_client.client import Client

IDS = ("ds_", "trj_")
SIDE = "A file, or the id of a dataset"


def evaluate(
    true: Annotated[str, typer.Argument(metavar="TRUE", help=f"{SIDE}.")],
    generated: Annotated[str, typer.Argument(metavar="GENERATED", help=f"{SIDE} or a trajectory.")],
    preset: Annotated[str, typer.Option(help="Settings of the metrics.")] = "dsr-v1",
    metrics: Annotated[str | None, typer.Option(help="Separated by commas; all if left out.")] = None,
    discard: Annotated[float, typer.Option(min=0.0, max=0.9, help="First share of the run that is dropped.")] = 0.0,
    dt: Annotated[float | None, typer.Option(help="Sampling step of the files, where they do not tell.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole evaluation as JSON.")] = False,
    data_dir: DataDir = Path("data"),
) -> None:
    """Score one trajectory against another; files are sent to the service of --data-dir."""
    options: dict[str, Any] = {"preset": preset, "discard_share": discard}
    if metrics is not None:
        options["metrics"] = [name.strip() for name in metrics.split(",")]
    with refusing():
        chaos = Client.local(data_dir)
        try:
            sides = [_known(chaos, side, dt) for side in (true, generated)]
            found = chaos.evaluate(*sides, **options)
        finally:
            chaos.close()
        if found["error"] is not None:
            refuse(f"{found['error']['detail']}. {found['error']['remedy']}")
        typer.echo(json.dumps(found, indent=2)) if as_json else _show(found)


def _known(chaos: Client, side: str, dt: float | None) -> str:
    """The id; a file becomes a dataset."""
    if side.startswith(IDS):
        return side
    path, fields = Path(side), {} if dt is None else {"dt": repr(dt)}
    return str(chaos.upload(path.name, path.read_bytes(), **fields)["id"])


def _show(found: dict[str, Any]) -> None:
    table = Table("metric", "value", "floor", "remark")
    for name, score in found["scores"].items():
        numbers = ("-" if score[word] is None else f"{score[word]:.4g}" for word in ("value", "floor"))
        table.add_row(name, *numbers, escape(score["reason"] or ""))
    Console().print(table)
    typer.echo(f"{found['id']}, preset {found['options']['scoring']['preset']}")
