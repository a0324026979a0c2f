"""One transaction for each request or message; only the unit of work commits."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar, Token
from typing import Any, Self

import psycopg
from sqlalchemy.orm import Session

from shared.kit.db.connections import WatchedConnection
from shared.kit.db.engine import autocommit_engine, engine

type Hook = Callable[[], None]

_current: ContextVar["UnitOfWork | None"] = ContextVar("unit_of_work", default=None)


class UnitOfWork:
    """A session that opens at its first use, and the hooks that run right after the commit.

    Leaving the `with` block without `commit()` rolls everything back.
    """

    def __init__(self, *, read_only: bool = False) -> None:
        """`read_only` reads in autocommit: no transaction, no BEGIN and ROLLBACK round trips."""
        self._read_only = read_only
        self._session: Session | None = None
        self._hooks: list[Hook] = []
        self._outer: Token[UnitOfWork | None] | None = None

    @property
    def session(self) -> Session:
        """The session; its transaction begins with the first statement."""
        if self._session is None:
            bind = autocommit_engine() if self._read_only else engine()
            self._session = Session(bind, expire_on_commit=False, autoflush=True)
        return self._session

    def after_commit(self, hook: Hook) -> None:
        """Run `hook` once the effects are durable; it must not raise, and must not be needed for correctness.

        A hook that is registered twice runs once.
        """
        if hook not in self._hooks:
            self._hooks.append(hook)

    def commit(self) -> None:
        """Make the effects durable, then run the hooks."""
        if self._session is not None:
            self._session.commit()
        hooks, self._hooks = self._hooks, []
        for hook in hooks:
            hook()

    def __enter__(self) -> Self:
        self._outer = _current.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._outer is not None
        _current.reset(self._outer)
        if self._session is not None:
            self._session.close()  # rolls back what was not committed
            self._session = None
        self._hooks.clear()


def current_unit_of_work() -> UnitOfWork | None:
    """Return the innermost unit of work that this thread is in, or None."""
    return _current.get()


def driver_connection(session: Session) -> psycopg.Connection[Any]:
    """Return the psycopg connection of a session's own transaction."""
    session.flush()
    driver = session.connection().connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


@contextmanager
def raw_connection(*, longest_seconds: float | None = None) -> Iterator[psycopg.Connection[Any]]:
    """Lend a psycopg connection of the pool, in autocommit, for statements that are faster without the ORM.

    A caller whose statement may run longer than usual gives `longest_seconds`; otherwise the wait counts as an outage.
    """
    with closing(engine().raw_connection()) as pooled:
        driver = pooled.driver_connection
        assert isinstance(driver, WatchedConnection)
        driver.autocommit = True
        try:
            with driver.patient_for(seconds=longest_seconds):
                yield driver
        except psycopg.Error as error:
            if driver.broken:  # the other connections of the pool are lost too: begin with a new pool
                pooled.invalidate(error)
                engine().dispose(close=False)
            raise
        finally:
            if not driver.broken:
                driver.autocommit = False


def ping_database() -> None:
    """Run an empty query with a short time-out; raises what the driver or the pool raises."""
    with raw_connection() as connection:
        assert isinstance(connection, WatchedConnection)
        connection.ask(seconds=2)
