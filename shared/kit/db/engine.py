"""The process's one engine and its one pool of connections."""

import time
from functools import lru_cache
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine, event, exc

from shared.kit.db.connections import Connector, WatchedConnection
from shared.kit.settings.database import DatabaseSettings, database_settings

# A connection that has been idle for longer than this is tested before it is used again, because Azure closes idle
# connections without a notice. Testing a connection at each use would cost every request a round trip.
_REST_SECONDS = 20.0
_ANSWER_SECONDS = 2.0


def make_engine(config: DatabaseSettings) -> Engine:
    """Return an engine for `config`; it connects at its first use."""
    options = (
        f"-c statement_timeout={config.database_statement_timeout_ms}"
        f" -c lock_timeout={config.database_lock_timeout_ms}"
        " -c idle_in_transaction_session_timeout=60000 -c timezone=UTC"
    )
    engine = create_engine(
        config.database_url.replace("postgres://", "postgresql://", 1).replace(
            "postgresql://", "postgresql+psycopg://", 1
        ),
        pool_size=config.database_pool_size,
        max_overflow=0,
        pool_timeout=config.database_pool_timeout_seconds,
        pool_use_lifo=True,
        skip_autocommit_rollback=True,
        hide_parameters=True,  # errors would quote the parameters, and errors are logged
        connect_args={
            "connect_timeout": config.database_connect_timeout_seconds,
            "options": options,
            "application_name": "boxoffice",
            "prepare_threshold": 3 if config.database_prepared_statements else None,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        },
    )
    connector = Connector(statement_timeout_ms=config.database_statement_timeout_ms)

    def connect(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> WatchedConnection:
        return connector.connect(**parameters)

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "checkin", _note_rest)
    event.listen(engine, "checkout", _ask_after_rest)
    return engine


def _note_rest(_connection: Any, record: Any) -> None:
    record.info["resting_since"] = time.monotonic()


def _ask_after_rest(connection: WatchedConnection, record: Any, _proxy: Any) -> None:
    if time.monotonic() - record.info.get("resting_since", time.monotonic()) < _REST_SECONDS:
        return
    try:
        was, connection.autocommit = connection.autocommit, True
        connection.ask(seconds=_ANSWER_SECONDS)
        connection.autocommit = was
    except psycopg.Error as error:
        raise exc.DisconnectionError from error  # the pool discards the connection and tries another


@lru_cache(maxsize=1)
def engine() -> Engine:
    """Return the process's engine, made at the first call."""
    return make_engine(database_settings())


@lru_cache(maxsize=1)
def autocommit_engine() -> Engine:
    """Return the same engine and pool with autocommit, for reads and the order path: one round trip a statement."""
    return engine().execution_options(isolation_level="AUTOCOMMIT")
