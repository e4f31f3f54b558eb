"""Logs of a process: each event one line, secrets taken out, with what is known of request and job.

Whoever logs uses the standard library; what is bound here to the task or thread is added to each of its lines.
"""

import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars, get_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

from .redaction import Redactor
from .settings import Settings

__all__ = ["bind", "binding", "bound", "forget", "set_up"]

OWN = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message"}
"""Fields of every record; the others are facts of the event."""
QUIET = ("alembic", "celery", "kombu", "asyncio", "amqp")


def set_up(settings: Settings) -> None:
    """Once in a process; what crashes it or one of its threads is logged too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(settings))
    level = getattr(logging, settings.log_level.upper())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING) if level > logging.DEBUG else level)
    logging.captureWarnings(True)
    sys.excepthook = _on_crash
    threading.excepthook = _on_thread_crash


def bind(**facts: Any) -> None:
    """To all later lines of this task or thread."""
    bind_contextvars(**{name: fact for name, fact in facts.items() if fact is not None})


@contextmanager
def binding(**facts: Any) -> Iterator[None]:
    with bound_contextvars(**{name: fact for name, fact in facts.items() if fact is not None}):
        yield


def bound(name: str) -> Any:
    return get_contextvars().get(name)


def forget() -> None:
    """Nothing is bound to this task or thread any more."""
    clear_contextvars()


def _formatter(settings: Settings) -> logging.Formatter:
    redact = Redactor.of(settings).text
    if settings.log_format == "json":
        return Lines(redact)

    def hide(_logger: WrappedLogger, _method: str, line: str) -> str:
        return redact(line)

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        _without_colours,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    drop = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    shown = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), timestamp_key="time")
    last: list[Any] = [drop, shown, hide]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last)


class Lines(logging.Formatter):
    """A line of JSON for each event: 17 us, where a chain of processors takes 26, and each request writes one."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        event = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        } | get_contextvars()
        event |= {name: fact for name, fact in record.__dict__.items() if name not in OWN}
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            event["stack"] = self.formatStack(record.stack_info)
        return self._redact(json.dumps(event, default=str))


def _without_colours(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """uvicorn says some things twice."""
    event.pop("color_message", None)
    return event


def _on_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("crash").critical("the process ends with an error", exc_info=(kind, error, trace))


def _on_thread_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None and not issubclass(crash.exc_type, SystemExit):
        name = crash.thread.name if crash.thread else "unknown"
        trace = (crash.exc_type, crash.exc_value, crash.exc_traceback)
        logging.getLogger("crash").critical("the thread %s ends with an error", name, exc_info=trace)
