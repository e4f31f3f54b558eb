"""`chaos`: one command a file."""

import typer

from chaos_client.cli.admin import admin
from chaos_client.cli.demo import demo
from chaos_client.cli.doctor import doctor
from chaos_client.cli.evaluate import evaluate
from chaos_client.cli.kinds import kinds
from chaos_client.cli.serve import serve
from chaos_client.cli.systems import generate, systems
from chaos_client.cli.upload import upload

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Learn chaotic dynamics from time series, as a service."
)
app.command()(serve)
app.command()(demo)
app.command()(doctor)
app.command()(kinds)
app.command()(systems)
app.command()(generate)
app.command()(upload)
app.command()(evaluate)
app.add_typer(admin, name="admin")
