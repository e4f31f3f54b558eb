import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from chaos_client.client import Problem
from chaos_client.demo import TOLERANCE, Walk, running_service, walk
from chaos_client.failures import ServeError
from chaos_client.recipes import recipe

console = Console(highlight=False)

METRICS = {
    "d_stsp": "geometry, D_stsp",
    "d_h": "power spectra, D_H",
    "prediction_error": "prediction error, 20 steps",
}


def demo(
    output: Annotated[Path, typer.Option(help="Where the downloads, the picture and the service's data go.")] = Path(
        "demo-output"
    ),
) -> None:
    """Send a real chaotic recording through the whole service and check what comes out."""
    settings = recipe("laser")
    console.print(f"[bold]{settings['title']}[/bold]: {settings['about']}", soft_wrap=True)
    console.print(f"[dim]{settings['credit']}[/dim]", soft_wrap=True)
    began = time.monotonic()
    try:
        with running_service(output / "data") as client, _progress() as progress:
            task = progress.add_task("waiting", total=1.0)
            result = walk(client, output, lambda job: _show(progress, task, job), _line(progress))
    except (ServeError, Problem) as error:
        console.print(f"[red]error:[/red] {error}", soft_wrap=True)
        raise typer.Exit(1) from error
    _report(result, time.monotonic() - began)
    console.print(f"look at all of it: .venv/bin/chaos serve --data-dir {output / 'data'}", soft_wrap=True)
    if not result.largest_difference <= TOLERANCE:
        raise typer.Exit(1)


def _line(progress: Progress) -> Callable[[str], None]:
    return lambda text: progress.console.print(text, soft_wrap=True)


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description:>12}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)


def _show(progress: Progress, task: Any, job: dict[str, Any]) -> None:
    done, total = job["progress"]["update"] or 0, job["progress"]["total"] or 1
    progress.update(task, description=job["stage"] or job["status"], completed=done / total)


def _report(result: Walk, seconds: float) -> None:
    table = Table("score on the unseen last fifth", "value", "floor", "context parroting", title="smaller is better")
    baseline = (result.job["baselines"] or {}).get("parroting", {})
    for name, label in METRICS.items():
        score = result.job["scores"][name]
        table.add_row(label, _number(score), _number({"value": score["floor"]}), _number(baseline.get(name) or {}))
    console.print(table)
    console.print("floor: the same score between the two halves of the true test piece")
    for label, path in result.files.items():
        console.print(f"{label:>20}  {path.resolve()}", soft_wrap=True)
    good = result.largest_difference <= TOLERANCE
    mark = "[green]reproduces[/green]" if good else "[red]does not reproduce[/red]"
    console.print(
        f"the downloaded model {mark} the stored trajectory: largest difference {result.largest_difference:.1e} std",
        soft_wrap=True,
    )
    console.print(f"{seconds:.0f} s for the walk ({result.job['kernel']} kernel on {result.job['device']})")


def _number(score: dict[str, Any]) -> str:
    value = score.get("value")
    return f"{value:.3g}" if value is not None else str(score.get("reason") or "-")
