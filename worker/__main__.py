"""`python -m worker`."""

import sys
import warnings

from celery.exceptions import SecurityWarning

from chaos_store import logs
from chaos_store.settings import Settings

from .app import Worker


def main() -> None:
    settings = Settings()
    logs.set_up(settings)
    vars(sys)["__stdout__"] = None  # Celery says there, past the log, that it stops
    warnings.simplefilter("ignore", SecurityWarning)
    Worker(settings).serve()


if __name__ == "__main__":
    main()
