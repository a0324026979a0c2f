"""The whole system on its own servers; each server can be killed and comes back."""

import contextlib
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from infra.local.home import REPOSITORY, free_port
from infra.local.services.azurite import AzuritePorts, AzuriteServer
from infra.local.services.functions_host import FunctionsHost
from infra.local.services.guard import Guard
from infra.local.services.postgres import PostgresServer
from infra.local.services.valkey import ValkeyServer
from tests.harness import databases
from tests.harness.polling import PATIENCE_SECONDS
from tests.harness.shared_services import AZURITE_PROGRAM

_WORKER = "infra.local.host.worker"
# The lease of a worker that died earlier has less time left.
_BEING_SENT = "SELECT 1 FROM outbox WHERE done_at IS NULL AND leased_until > now() + interval '28 seconds'"


@dataclass(frozen=True)
class Mortal:
    """A system whose parts die one after the other, at random moments."""

    postgres: PostgresServer
    valkey: ValkeyServer
    azurite: AzuriteServer
    host: FunctionsHost
    database_url: str

    @property
    def deaths(self) -> dict[str, Callable[[random.Random], None]]:
        """Ways to kill a part; each returns when the part is back, or will come back without help."""
        return {
            "an HTTP worker": self._kill_http_worker,
            "the background process": self._kill_background,
            "PostgreSQL": self._kill_postgres,
            "Redis": self._kill_redis,
            "the storage": self._stop_storage,
        }

    def workers(self, role: str) -> list[psutil.Process]:
        """The host's processes of a role: `http` or `background`."""
        found = []
        for process in psutil.Process(self.host.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                command = process.cmdline()
                if _WORKER in command and command[command.index(_WORKER) + 1] == role:
                    found.append(process)
        return found

    def postgres_processes(self) -> list[psutil.Process]:
        """The server's processes, beginning with its first one."""
        whole = psutil.Process(self.postgres.process.pid)
        return [whole, *whole.children(recursive=True)]

    def _kill_http_worker(self, rng: random.Random) -> None:
        """Kill an HTTP worker; the host replaces it."""
        rng.choice(self.workers("http")).kill()

    def _kill_background(self, rng: random.Random) -> None:
        """Kill it while it sends a message, if it does so within a few seconds; the host replaces it."""
        give_up_at = time.monotonic() + 3
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            while not connection.execute(_BEING_SENT).fetchone() and time.monotonic() < give_up_at:
                time.sleep(rng.uniform(0, 0.01))
        for process in self.workers("background"):
            process.kill()

    def _kill_postgres(self, rng: random.Random) -> None:
        """Kill all its processes at once, as when the machine loses power."""
        processes = self.postgres_processes()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        assert self.postgres.process.popen is not None
        self.postgres.process.popen.wait(PATIENCE_SECONDS)
        psutil.wait_procs(processes[1:], timeout=PATIENCE_SECONDS)
        time.sleep(rng.uniform(0, 0.4))
        self.postgres.start()

    def _kill_redis(self, rng: random.Random) -> None:
        assert self.valkey.process.popen is not None
        self.valkey.process.popen.send_signal(signal.SIGKILL)
        self.valkey.process.popen.wait(PATIENCE_SECONDS)
        time.sleep(rng.uniform(0, 0.4))
        self.valkey.start()

    def _stop_storage(self, rng: random.Random) -> None:
        """Stop it by SIGTERM: the emulator keeps its lists in memory, and SIGKILL would lose data that Azure keeps."""
        self.azurite.stop(timeout=PATIENCE_SECONDS)
        time.sleep(rng.uniform(0, 0.4))
        self.azurite.start()


@contextlib.contextmanager
def mortal_system(
    folder: Path, guard: Guard, environment: dict[str, str], *, template: str, workers: int
) -> Iterator[Mortal]:
    """Start everything on its own ports and in its own folders, with a copy of the database `template`.

    `environment` has the other settings.
    """
    with contextlib.ExitStack() as stack:
        folder.chmod(0o755)  # PostgreSQL may run as another user
        postgres = PostgresServer(folder / "data", log=folder / "postgres.log", guard=guard, port=free_port())
        valkey = ValkeyServer(log=folder / "valkey.log", guard=guard, port=free_port())
        ports = AzuritePorts(free_port(), free_port(), free_port())
        azurite = AzuriteServer(
            folder / "storage", program=AZURITE_PROGRAM, log=folder / "azurite.log", guard=guard, ports=ports
        )
        for server in (postgres, valkey, azurite):
            stack.callback(server.stop)
            server.start()
        postgres.ensure_database("boxoffice")
        database_url = postgres.url("boxoffice")
        databases.copy(template, database_url)
        port = free_port()
        host = FunctionsHost(
            REPOSITORY,
            log=folder / "host.log",
            guard=guard,
            port=port,
            environment=environment
            | {
                "DATABASE_URL": database_url,
                "REDIS_URL": valkey.url(),
                "AzureWebJobsStorage": azurite.url(),
                "PUBLIC_URL": f"http://127.0.0.1:{port}",
            },
            keys_file=folder / "functions-keys.json",
            workers=workers,
        )
        stack.callback(host.stop)
        host.start()
        yield Mortal(postgres, valkey, azurite, host, database_url)
