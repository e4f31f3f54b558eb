"""`python -m worker.sending`: webhooks alone, where the workers themselves have no way out."""

import signal
import threading

from chaos_store import logs
from chaos_store.engine import open_database
from chaos_store.settings import Settings

from .sender import Sender

PULSE_FILE = "sender.alive"


def main() -> None:
    settings = Settings()
    logs.set_up(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    stopping = threading.Event()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: stopping.set())
    database = open_database(settings)
    sender = Sender(database, settings, pulse=settings.data_dir / PULSE_FILE)
    sender.start()
    stopping.wait()
    sender.stop()
    database.dispose()


if __name__ == "__main__":
    main()
