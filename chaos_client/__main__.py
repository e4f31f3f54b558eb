"""python -m chaos_client: the same as `chaos`."""

from chaos_client.cli.main import app

app()
