"""The whole system in a temporary folder: with a durable PostgreSQL, as in production, and no other load."""

import base64
import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg

from infra.local.environment import ServiceAddresses, app_settings
from infra.local.home import KEYS, REPOSITORY, free_port
from infra.local.services.azurite import AzuritePorts, AzuriteServer
from infra.local.services.functions_host import FunctionsHost
from infra.local.services.guard import Guard
from infra.local.services.issuer import Issuer
from infra.local.services.postgres import PostgresServer
from infra.local.services.smtp_sink import SmtpSink
from infra.local.services.valkey import ValkeyServer
from tests.harness.shared_services import AZURITE_PROGRAM, migrate

APP_DATABASE = "boxoffice"
FLOOR_DATABASE = "floor"


@dataclass(frozen=True)
class System:
    """The running system and its addresses."""

    folder: Path
    guard: Guard
    postgres: PostgresServer
    valkey: ValkeyServer
    azurite: AzuriteServer
    issuer: Issuer
    host: FunctionsHost
    environment: dict[str, str]

    @property
    def database_url(self) -> str:
        """The application's database."""
        return self.postgres.url(APP_DATABASE)

    @property
    def floor_url(self) -> str:
        """A second database on the same server, which the application does not know."""
        return self.postgres.url(FLOOR_DATABASE)

    def another_host(self, *, workers: int | None = None, **changes: str) -> FunctionsHost:
        """A host with its own port and changed settings, not started."""
        port = free_port()
        environment = self.environment | {"PUBLIC_URL": f"http://127.0.0.1:{port}"} | changes
        return _host(self.folder, self.guard, environment, port, workers=workers)


@contextlib.contextmanager
def running_system(say: Callable[[str], None]) -> Iterator[System]:
    """Start everything, stop it at the end, and leave no file behind."""
    folder = Path(tempfile.mkdtemp(prefix="boxoffice-bench-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        guard = Guard()
        stack.callback(guard.close)
        yield _start(folder, guard, stack, say)


def _start(folder: Path, guard: Guard, stack: contextlib.ExitStack, say: Callable[[str], None]) -> System:
    postgres = PostgresServer(
        folder / "postgres", log=folder / "postgres.log", guard=guard, port=free_port(), max_connections=200
    )
    valkey = ValkeyServer(log=folder / "valkey.log", guard=guard, port=free_port())
    ports = AzuritePorts(free_port(), free_port(), free_port())
    azurite = AzuriteServer(None, program=AZURITE_PROGRAM, log=folder / "azurite.log", guard=guard, ports=ports)
    issuer, mail = Issuer(), SmtpSink(folder / "mail")
    for service in (postgres, valkey, azurite, issuer, mail):
        stack.callback(service.stop)
    say("PostgreSQL (durable), Redis, storage, issuer, mail")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda start: start(), (postgres.start, valkey.start, azurite.start, issuer.start, mail.start)))
    _prepare_statistics(postgres)
    say("migrations")
    for name in (APP_DATABASE, FLOOR_DATABASE):
        postgres.ensure_database(name)
        migrate(postgres.url(name))
    port = free_port()
    addresses = ServiceAddresses(
        database=postgres.url(APP_DATABASE),
        redis=valkey.url(),
        storage=azurite.url(),
        issuer=issuer.url,
        mail=mail.url,
        public=f"http://127.0.0.1:{port}",
    )
    keys = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in KEYS}
    environment = (
        app_settings(addresses, keys=keys, workers=default_workers()) | {"RATE_LIMITS": "off"} | _keep_bytecode(folder)
    )
    host = _host(folder, guard, environment, port)
    stack.callback(host.stop)
    say(f"functions host with {default_workers()} HTTP workers")
    host.start()  # compiles first, so that the measured processes do not hold the compiler's memory
    host.stop()
    host.start()
    return System(folder, guard, postgres, valkey, azurite, issuer, host, environment)


def _keep_bytecode(folder: Path) -> dict[str, str]:
    """Compile each module once, as in an installed app, whatever this shell's environment says."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def _prepare_statistics(postgres: PostgresServer) -> None:
    """Load pg_stat_statements, counting nothing until it is asked to."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        connection.execute("ALTER SYSTEM SET pg_stat_statements.track = 'none'")
    postgres.stop()
    postgres.start()


def _host(
    folder: Path, guard: Guard, environment: dict[str, str], port: int, *, workers: int | None = None
) -> FunctionsHost:
    return FunctionsHost(
        REPOSITORY,
        log=folder / f"host-{port}.log",
        guard=guard,
        port=port,
        environment=environment,
        keys_file=folder / "functions-keys.json",
        workers=workers or default_workers(),
    )


def default_workers() -> int:
    """How many HTTP worker processes are measured: WORKERS, else 2."""
    return int(os.environ.get("WORKERS") or 2)
