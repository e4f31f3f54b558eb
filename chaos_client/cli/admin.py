from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chaos_client import folder
from chaos_client.cli.doctor import DataDir
from chaos_client.failures import ServeError

admin = typer.Typer(no_args_is_help=True, help="Look after the stored rows and bytes.")


@admin.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where all rows and bytes go; complete once it is there.")],
    data_dir: DataDir = Path("data"),
) -> None:
    """Write everything into one file; the service may run."""
    raise typer.Exit(folder.look_after(data_dir, "backup", str(file.absolute())))


@admin.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `chaos admin backup` wrote, on either database.")],
    data_dir: DataDir = Path("data"),
) -> None:
    """Fill a database without rows from a backup; no service may run on the folder."""
    try:
        with folder.take(data_dir):
            code = folder.look_after(data_dir, "restore", str(file.absolute()))
    except ServeError as error:
        Console(stderr=True, highlight=False).print(f"[red]error:[/red] {error}", soft_wrap=True)
        raise typer.Exit(1) from error
    raise typer.Exit(code)


@admin.command()
def gc(data_dir: DataDir = Path("data")) -> None:
    """Remove bytes that nothing uses, and jobs whose time to be kept is over."""
    raise typer.Exit(folder.look_after(data_dir, "gc"))


@admin.command()
def retention(
    days: Annotated[str, typer.Argument(help="How long finished jobs are kept: a number of days, or `forever`.")],
    project: Annotated[str | None, typer.Option(help="Only of this project.")] = None,
    data_dir: DataDir = Path("data"),
) -> None:
    """Say how long finished jobs and what they made are kept."""
    options = ["--project", project] if project else []
    raise typer.Exit(folder.look_after(data_dir, "retention", days, *options))
