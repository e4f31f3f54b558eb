import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from chaos_client.cli.doctor import DataDir
from chaos_client.cli.refusing import refusing
from chaos_client.client import Client
from chaos_core.series import Series
from chaos_core.systems import SYSTEMS, as_csv, record, system


def systems(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print them as JSON, with the schema of their settings.")
    ] = False,
) -> None:
    """List the known systems that data can be generated from."""
    if as_json:
        typer.echo(json.dumps({kind: _facts(kind) for kind in SYSTEMS}, indent=2))
        return
    table = Table("system", "nature", "lambda_max", "dt", "channels")
    for kind in SYSTEMS:
        facts = _facts(kind)
        exponent = "none" if facts["lambda_max"] is None else f"{facts['lambda_max']:.4g}"
        names = facts["channels"]
        shown = ", ".join(names) if len(names) < 5 else f"{names[0]} ... {names[-1]}"
        table.add_row(kind, facts["nature"], exponent, f"{facts['dt']:g}", shown)
    Console().print(table)
    typer.echo(
        "lambda_max: nats per time unit at the defaults; `chaos systems --json` shows rules, sources and settings"
    )


def generate(
    kind: Annotated[str, typer.Argument(metavar="SYSTEM", help="One of `chaos systems`.")],
    steps: Annotated[int, typer.Option(help="Rows.")] = 10_000,
    noise: Annotated[float, typer.Option(min=0.0, help="Noise on each channel, as a share of its spread.")] = 0.0,
    noise_seed: Annotated[int, typer.Option(min=0, help="Seed of the noise.")] = 0,
    channels: Annotated[str | None, typer.Option(help="Channels to keep, separated by commas.")] = None,
    changed: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting, say rho=38; may be repeated.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The CSV file; SYSTEM.csv if left out.")] = None,
    upload: Annotated[bool, typer.Option("--upload", help="Send it to the service of --data-dir too.")] = False,
    data_dir: DataDir = Path("data"),
) -> None:
    """Write rows of a known system into a CSV file; needs no service."""
    file = output or Path(f"{kind}.csv")
    with refusing():
        made = record(
            system(kind, **dict(map(_setting, changed or []))),
            steps,
            noise=noise,
            noise_seed=noise_seed,
            channels=[name.strip() for name in channels.split(",")] if channels else None,
        )
        content = as_csv(made)
        file.write_bytes(content)
        typer.echo(f"{file}: {made.length} rows of {', '.join(made.names)}, dt = {made.dt:g}")
        if upload:
            _send(data_dir, file.name, content, made)


def _send(data_dir: Path, name: str, content: bytes, series: Series) -> None:
    client = Client.local(data_dir)
    try:
        inputs = {"inputs": ",".join(series.input_names)} if series.driven_by else {}
        dataset = client.upload(name, content, dt=repr(series.dt), columns=",".join(series.names), **inputs)
    finally:
        client.close()
    typer.echo(f"dataset {dataset['id']}")


def _facts(kind: str) -> dict[str, Any]:
    settings = SYSTEMS[kind]
    names = ("equation", "nature", "lambda_max", "spectrum", "lambda_source", "citation")
    known = {name: getattr(settings, name) for name in names}
    one = settings()
    schema = settings.model_json_schema()
    return known | {"channels": list(one.names), "dt": one.sampling_step, "settings_schema": schema}


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"'{text}' is not NAME=VALUE", param_hint="--set")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value
