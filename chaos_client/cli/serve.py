from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chaos_client.failures import ServeError
from chaos_client.serve import EmbeddedService, ServeOptions


def serve(
    data_dir: Annotated[Path, typer.Option(help="Where everything is kept.", envvar="CHAOS_DATA_DIR")] = Path("data"),
    host: Annotated[
        str, typer.Option(help="Address to listen on; only this machine unless told otherwise.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes any free one.")] = 8000,
) -> None:
    """Start the whole service on this machine: database, broker, worker and API."""
    console = Console(stderr=True, highlight=False)
    try:
        EmbeddedService(ServeOptions(data_dir, host, port), lambda line: console.print(line, soft_wrap=True)).run()
    except ServeError as error:
        console.print(f"[red]error:[/red] {error}", soft_wrap=True)
        raise typer.Exit(1) from error
