"""What a database error means for a request, whether SQLAlchemy wrapped it or psycopg raised it."""

import psycopg
from sqlalchemy import exc

_DEADLOCK = frozenset({"40P01", "40001"})
_SERVER_GOING_OR_COMING = frozenset({"57P01", "57P02", "57P03", "57P05", "53300"})
_TOO_SLOW = frozenset({"55P03", "57014"})  # lock_not_available (lock_timeout), query_canceled (statement_timeout)


def _driver_error(error: BaseException) -> BaseException:
    origin = error.orig if isinstance(error, exc.DBAPIError) else error
    return origin if origin is not None else error


def violated_constraint(error: BaseException) -> str | None:
    """Return the name of the constraint that refused a row, or None for any other error."""
    driver = _driver_error(error)
    return driver.diag.constraint_name if isinstance(driver, psycopg.IntegrityError) else None


def is_deadlock(error: BaseException) -> bool:
    """Whether the transaction should be run again, because the server has rolled it back."""
    return getattr(_driver_error(error), "sqlstate", None) in _DEADLOCK


def is_too_slow(error: BaseException) -> bool:
    """Whether a lock, a statement or a connection of the pool took too long; nothing has changed."""
    return isinstance(error, exc.TimeoutError) or getattr(_driver_error(error), "sqlstate", None) in _TOO_SLOW


def is_lost_connection(error: BaseException) -> bool:
    """Whether the server is away; if a commit was under way, it may or may not have happened."""
    driver = _driver_error(error)
    if not isinstance(driver, psycopg.OperationalError | psycopg.InterfaceError):
        return isinstance(error, exc.DBAPIError) and error.connection_invalidated
    return driver.sqlstate is None or driver.sqlstate in _SERVER_GOING_OR_COMING or driver.sqlstate.startswith("08")
