from pathlib import Path
from typing import Annotated

import typer

from chaos_client import folder

DataDir = Annotated[Path, typer.Option(help="The folder of the service.", envvar="CHAOS_DATA_DIR")]


def doctor(
    data_dir: DataDir = Path("data"),
    deep: Annotated[bool, typer.Option("--deep", help="Read every stored byte too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at all that the service needs; exit code 1 where something is wrong."""
    options = [name for name, chosen in (("--deep", deep), ("--json", json)) if chosen]
    raise typer.Exit(folder.look_after(data_dir, "doctor", *options))
