import os
from typing import ClassVar

from pydantic import Field

from shared.kit.settings.group import Group, read


def _threads() -> int:
    """Return the size of the worker's thread pool, by the worker's own rule; the connection pool has the same size."""
    configured = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    return int(configured) if configured.isdigit() else min(32, (os.cpu_count() or 1) + 4)


class DatabaseSettings(Group):
    """PostgreSQL, and how long requests wait for it."""

    heading: ClassVar[str] = "Database"

    database_url: str = Field(
        repr=False,
        exclude=True,
        pattern=r"^postgres(ql)?://",
        description="PostgreSQL 15 or later: `postgresql://user:password@host:5432/boxoffice`.",
        examples=["postgresql://postgres@127.0.0.1:5432/boxoffice"],
    )
    database_pool_size: int = Field(
        default_factory=_threads,
        ge=1,
        le=100,
        description="Connections a worker process may hold; by default as many as it has threads. "
        "Instances × workers × this must fit the server's `max_connections`.",
        examples=["6"],
    )
    database_pool_timeout_seconds: float = Field(
        10, gt=0, le=60, description="How long a request waits for a connection before it answers 503."
    )
    database_connect_timeout_seconds: int = Field(5, ge=1, le=60, description="How long connecting may take.")
    database_statement_timeout_ms: int = Field(
        15_000, ge=100, le=600_000, description="The server ends a statement that runs longer."
    )
    database_lock_timeout_ms: int = Field(
        5_000, ge=100, le=600_000, description="The server ends a statement that waits longer for a lock."
    )
    database_prepared_statements: bool = Field(
        default=True,
        description="Set to `false` behind a PgBouncer in transaction mode that does not track prepared statements.",
    )


def database_settings() -> DatabaseSettings:
    """Return the process's settings of this group."""
    return read(DatabaseSettings)
