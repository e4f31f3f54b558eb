"""What a database says when it is away or full, as errors of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chaos_store.capacity import is_full
from chaos_store.errors import StorageFull, WrongState

from .errors import DatabaseUnavailable

AWAY = ("08", "57P", "53300", "40001", "40P01", "25006", "25P03")
"""Lost connections, shutdown and recovery, too many connections, lost races, a read-only standby, a frozen client."""
UNMIGRATED = ("42P01", "42703", "no such table", "no such column")
REMOVED = ("23503", "FOREIGN KEY constraint failed")


@contextmanager
def answering() -> Iterator[None]:
    """Turns whatever a database says when it is away or full into DatabaseUnavailable or StorageFull."""
    try:
        yield
    except (DBAPIError, PoolTimeout, OSError) as error:
        if is_full(error):
            raise StorageFull("the disk is full") from error
        if isinstance(error, IntegrityError) and _says(error, REMOVED):
            raise WrongState("what this request needs was removed at the same moment") from error
        reason = _reason(error) if isinstance(error, DBAPIError) else "the database did not answer"
        if reason is None:
            raise
        raise DatabaseUnavailable(reason) from error


def _reason(error: DBAPIError) -> str | None:
    if _says(error, UNMIGRATED):
        return "the database has another form than this service expects; run `python -m chaos_store migrate`"
    if error.connection_invalidated:
        return "the connection to the database was lost"
    if _state(error).startswith(AWAY) or isinstance(error, OperationalError | InterfaceError):
        return "the database did not answer"
    return None


def _says(error: DBAPIError, words: tuple[str, ...]) -> bool:
    return _state(error) in words or any(" " in word and word in str(error.orig) for word in words)


def _state(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")
