"""`python -m worker`."""

import logging
import warnings

from celery.exceptions import SecurityWarning

from chaos_store.settings import Settings

from .app import Worker


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    warnings.simplefilter("ignore", SecurityWarning)
    Worker(Settings()).serve()


if __name__ == "__main__":
    main()
