"""The runner's log: a line of JSON for each event on stderr, where the supervisor reads it."""

import faulthandler
import json
import logging
import sys


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        return json.dumps({"level": record.levelname.lower(), "logger": record.name, "message": message})


def set_up() -> None:
    """Warnings of libraries come as lines too, and a crash of native code leaves a trace."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    faulthandler.enable()
