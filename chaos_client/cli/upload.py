from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from chaos_client.cli.doctor import DataDir
from chaos_client.client import Client, Problem
from chaos_client.failures import ServeError

console = Console(stderr=True, highlight=False)


def upload(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The recording.")],
    fields: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="An option, say dt=0.01; may be repeated.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="UPLOAD", help="Go on with an upload that was broken off (up_...).")
    ] = None,
    data_dir: DataDir = Path("data"),
    url: Annotated[str | None, typer.Option(help="Another service than that of --data-dir.")] = None,
    api_key: Annotated[str | None, typer.Option(envvar="CHAOS_API_KEY", help="Its key.")] = None,
) -> None:
    """Send a recording to the service; a large one in parts, which survive broken connections."""
    words: dict[str, Any] = dict(map(_field, fields or []))
    try:
        with _client(data_dir, url, api_key) as client, Shown() as shown:
            dataset = client.upload_file(file, upload_id=resume, on_progress=shown.tell, **words)
    except (ServeError, Problem, OSError, httpx.HTTPError) as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from error
    typer.echo(f"dataset {dataset['id']}: {dataset['rows']} rows of {', '.join(dataset['names'])}")


class Shown(Progress):
    """The way of an upload in parts; its id first, so that it can be resumed."""

    def __init__(self) -> None:
        super().__init__(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
                         console=console)  # fmt: skip

    def tell(self, upload: dict[str, Any]) -> None:
        if not self.tasks:
            self.add_task(upload["id"], total=upload["size_bytes"])
            self.console.print(f"if this breaks off: chaos upload FILE --resume {upload['id']}", soft_wrap=True)
        self.update(self.tasks[0].id, completed=upload["received_bytes"])


def _client(data_dir: Path, url: str | None, api_key: str | None) -> Client:
    if url is None:
        return Client.local(data_dir)
    if api_key is None:
        raise ServeError("--url needs a key: --api-key, or $CHAOS_API_KEY")
    return Client(url, api_key)


def _field(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"'{text}' is not NAME=VALUE", param_hint="--set")
    return name.strip(), value
