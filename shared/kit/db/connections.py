"""Connections that give up waiting for a server that does not answer.

The server's own time-outs end a statement that runs too long, but only while the server works. A server that is
stopped, or has disappeared without closing its connections, applies none of them.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from shared.kit.breaker import Breaker

_GRACE_SECONDS = 2.0


class WatchedConnection(psycopg.Connection[Any]):
    """A connection that breaks when the server has sent nothing for longer than the server's own time-outs allow."""

    patience = float("inf")
    breaker: Breaker | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer; when none comes, the connection is closed and `psycopg.OperationalError` is raised."""
        if timeout is not None or self.patience == float("inf"):
            return super().wait(gen, interval, timeout)
        give_up_at = time.monotonic() + self.patience
        try:
            return super().wait(gen, interval, self.patience)
        except psycopg.OperationalError as error:
            if time.monotonic() < give_up_at:
                raise
            self.pgconn.finish()
            if self.breaker is not None:
                self.breaker.trip(error)
            raise psycopg.OperationalError("the server does not answer") from error

    @contextmanager
    def patient_for(self, *, seconds: float | None) -> Iterator[None]:
        """Let the server work for `seconds` before its silence counts as an outage, but never less than usual."""
        usual = self.patience
        if seconds is not None:
            self.patience = max(usual, seconds + _GRACE_SECONDS)
        try:
            yield
        finally:
            self.patience = usual

    def ask(self, *, seconds: float) -> None:
        """Raise `psycopg.OperationalError` unless the server answers within `seconds`; the breaker is not tripped."""
        usual = self.patience, self.breaker
        self.patience, self.breaker = seconds, None
        try:
            self.execute("SELECT 1")
        finally:
            self.patience, self.breaker = usual


class Connector:
    """Makes connections; while the server is known not to answer, it refuses at once."""

    def __init__(self, *, statement_timeout_ms: int) -> None:
        """The connections wait a little longer than the server lets a statement run."""
        self._patience = statement_timeout_ms / 1000 + _GRACE_SECONDS
        self._parameters: dict[str, Any] = {}
        self._breaker = Breaker("database", self._ask)

    def connect(self, **parameters: Any) -> WatchedConnection:
        """Return a new connection; raises `psycopg.OperationalError`."""
        self._parameters = parameters
        if self._breaker.is_open:
            raise psycopg.OperationalError("the server does not answer")
        try:
            connection = WatchedConnection.connect(**parameters)
        except psycopg.errors.ConnectionTimeout as error:
            self._breaker.trip(error)
            raise
        connection.patience, connection.breaker = self._patience, self._breaker
        return connection

    def _ask(self) -> None:
        WatchedConnection.connect(**self._parameters).close()
