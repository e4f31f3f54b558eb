from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import typer
from rich.console import Console
from rich.markup import escape

from chaos_client.client import Problem
from chaos_client.failures import ServeError
from chaos_core.errors import ChaosError


@contextmanager
def refusing() -> Iterator[None]:
    """What a user can mend is one sentence and exit code 1."""
    try:
        yield
    except ChaosError as error:
        refuse(f"{error.detail}. {error.remedy}")
    except ModuleNotFoundError as error:
        refuse(f"this system is integrated by {error.name}, which is not installed: pip install {error.name}")
    except (ServeError, Problem, OSError, httpx.HTTPError) as error:
        refuse(str(error))


def refuse(sentence: str) -> None:
    Console(stderr=True, highlight=False).print(f"[red]error:[/red] {escape(sentence)}", soft_wrap=True)
    raise typer.Exit(1)
