import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from infra.local.home import free_port
from infra.local.services.guard import Guard
from infra.local.services.postgres import PostgresServer

DATABASE = "throwaway"


@contextlib.contextmanager
def throwaway_database() -> Iterator[str]:
    """The URL of an empty database on its own server; both are removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="boxoffice-throwaway-") as folder:
        guard = Guard()
        server = PostgresServer(
            Path(folder) / "postgres",
            log=Path(folder) / "postgres.log",
            guard=guard,
            port=free_port(),
            durable=False,
        )
        try:
            server.start()
            server.ensure_database(DATABASE)
            yield server.url(DATABASE)
        finally:
            server.stop()
            guard.close()
