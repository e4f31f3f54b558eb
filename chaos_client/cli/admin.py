from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chaos_client import folder
from chaos_client.cli.doctor import DataDir
from chaos_client.failures import ServeError

OfProject = Annotated[str | None, typer.Option(help="The id of a project; the oldest, or all, if left out.")]

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
def keys(project: OfProject = None, data_dir: DataDir = Path("data")) -> None:
    """List the API keys: project, state, scopes, when last used."""
    raise typer.Exit(folder.look_after(data_dir, "keys", *_words(project=project)))


@admin.command(name="issue-key")
def issue_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="read, write, admin, operator; repeat for several; the first three if none")
    ] = None,
    days: Annotated[float | None, typer.Option(help="The key expires after so long.")] = None,
    project: OfProject = None,
    data_dir: DataDir = Path("data"),
) -> None:
    """Print the secret of a new API key; it cannot be shown again."""
    scopes = [word for one in scope or [] for word in ("--scope", one)]
    options = _words(days=days, project=project)
    raise typer.Exit(folder.look_after(data_dir, "issue-key", *scopes, *options, "--", name))


@admin.command(name="revoke-key")
def revoke_key(key: Annotated[str, typer.Argument(help="Its id.")], data_dir: DataDir = Path("data")) -> None:
    """End an API key, also the last one of its project."""
    raise typer.Exit(folder.look_after(data_dir, "revoke-key", "--", key))


@admin.command()
def projects(data_dir: DataDir = Path("data")) -> None:
    """List the projects with their quotas."""
    raise typer.Exit(folder.look_after(data_dir, "projects"))


@admin.command(name="create-project")
def create_project(name: Annotated[str, typer.Argument()], data_dir: DataDir = Path("data")) -> None:
    """Make a project; prints its id and the secret of its first key."""
    raise typer.Exit(folder.look_after(data_dir, "create-project", "--", name))


@admin.command()
def quota(
    bytes: Annotated[str | None, typer.Option(help="Stored bytes, or `none`.")] = None,  # noqa: A002
    jobs: Annotated[str | None, typer.Option(help="Jobs that wait or run at a time, or `none`.")] = None,
    core_hours: Annotated[str | None, typer.Option(help="Run time of its jobs in 30 days, or `none`.")] = None,
    project: OfProject = None,
    data_dir: DataDir = Path("data"),
) -> None:
    """Say how much a project may have; what is left out stays."""
    options = _words(bytes=bytes, jobs=jobs, core_hours=core_hours, project=project)
    raise typer.Exit(folder.look_after(data_dir, "quota", *options))


def _words(**options: object) -> list[str]:
    given = {name: value for name, value in options.items() if value is not None}
    return [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]


@admin.command()
def retention(
    days: Annotated[str, typer.Argument(help="How long finished jobs are kept: a number of days, or `forever`.")],
    project: Annotated[str | None, typer.Option(help="Only of this project.")] = None,
    data_dir: DataDir = Path("data"),
) -> None:
    """Say how long finished jobs and what they made are kept."""
    options = ["--project", project] if project else []
    raise typer.Exit(folder.look_after(data_dir, "retention", days, *options))
