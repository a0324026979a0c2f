"""The servers of one test run: each is started when first asked for, stopped with the run, and used by no other run."""

import base64
import contextlib
import fcntl
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from infra.local.home import REPOSITORY, free_port
from infra.local.schema import has_migrations
from infra.local.services.azurite import AzuritePorts, AzuriteServer
from infra.local.services.guard import Guard
from infra.local.services.postgres import PostgresServer
from infra.local.services.process import ServiceFailed
from infra.local.services.valkey import ValkeyServer

TEMPLATE = "boxoffice_template"
FOLDER_PREFIX = "boxoffice-tests-"
WORKERS = ("main", *(f"gw{number}" for number in range(64)))
AZURITE_PROGRAM = REPOSITORY / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
ATTEMPTS = 3


class SharedServices:
    """One PostgreSQL, one Redis-compatible server and one storage emulator for all workers of a run."""

    def __init__(self) -> None:
        remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        self._lock_file = (self.folder / "lock").open("w")
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        self._guard: Guard | None = None
        self._locks = {name: threading.Lock() for name in ("guard", "postgres", "template", "valkey", "azurite")}
        self._postgres: PostgresServer | None = None
        self._valkey: ValkeyServer | None = None
        self._azurite: AzuriteServer | None = None
        self._template_made = False
        self._answers: dict[str, Callable[[str], str]] = {
            "folder": lambda _: str(self.folder),
            "postgres": lambda _: self.postgres().url(),
            "template": lambda _: self.template_url(),
            "redis": lambda worker: self.valkey().url(WORKERS.index(worker)),
            "storage": lambda worker: self.azurite().url(account_of(worker)),
            "second storage": lambda worker: self.azurite().url(second_account_of(worker)),
            "third storage": lambda worker: self.azurite().url(third_account_of(worker)),
        }

    def ask(self, what: str, worker: str) -> str:
        """The address of `what` for `worker`: folder, postgres, template, redis, storage, second or third storage."""
        return self._answers[what](worker)

    def postgres(self) -> PostgresServer:
        """The running PostgreSQL; it forgets everything when the machine stops, which makes it fast."""
        with self._locks["postgres"]:
            if self._postgres is None:
                self._postgres = self._started(self._new_postgres)
            return self._postgres

    def template_url(self) -> str:
        """The URL of a migrated, empty database without connections."""
        server = self.postgres()
        with self._locks["template"]:
            if not self._template_made:
                server.ensure_database(TEMPLATE)
                migrate(server.url(TEMPLATE))
                self._template_made = True
        return server.url(TEMPLATE)

    def valkey(self) -> ValkeyServer:
        """The running Redis-compatible server; each worker has a numbered database."""
        with self._locks["valkey"]:
            if self._valkey is None:
                self._valkey = self._started(self._new_valkey)
            return self._valkey

    def azurite(self) -> AzuriteServer:
        """The running storage emulator; each worker has an account."""
        with self._locks["azurite"]:
            if self._azurite is None:
                self._azurite = self._started(self._new_azurite)
            return self._azurite

    def stop(self) -> None:
        """Stop all that was started and remove its files."""
        for server in (self._azurite, self._valkey, self._postgres):
            if server:
                server.stop()
        if self._guard:
            self._guard.close()
        self._lock_file.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _started[S: (PostgresServer, ValkeyServer, AzuriteServer)](self, new: Callable[[Guard], S]) -> S:
        """Start a server; try again with other ports if another program has taken one in the meantime."""
        with self._locks["guard"]:
            self._guard = self._guard or Guard(keep_open=[self._lock_file.fileno()])
        for attempt in range(1, ATTEMPTS + 1):
            server = new(self._guard)
            try:
                server.start()
            except ServiceFailed:
                server.stop()
                if attempt == ATTEMPTS:
                    raise
            else:
                break
        return server

    def _new_postgres(self, guard: Guard) -> PostgresServer:
        return PostgresServer(
            self.folder / "postgres",
            log=self.folder / "postgres.log",
            guard=guard,
            port=free_port(),
            durable=False,
            max_connections=300,
        )

    def _new_valkey(self, guard: Guard) -> ValkeyServer:
        return ValkeyServer(log=self.folder / "valkey.log", guard=guard, port=free_port())

    def _new_azurite(self, guard: Guard) -> AzuriteServer:
        return AzuriteServer(
            None,
            program=AZURITE_PROGRAM,
            log=self.folder / "azurite.log",
            guard=guard,
            ports=AzuritePorts(free_port(), free_port(), free_port()),
            accounts={
                account: base64.b64encode(secrets.token_bytes(32)).decode()
                for worker in WORKERS
                for account in (account_of(worker), second_account_of(worker), third_account_of(worker))
            },
        )


def account_of(worker: str) -> str:
    """The storage account of a worker."""
    return f"test{worker}"


def second_account_of(worker: str) -> str:
    """A storage account of a worker that the worker's `host` does not watch."""
    return f"second{worker}"


def third_account_of(worker: str) -> str:
    """Another one, for a module that runs two hosts side by side."""
    return f"third{worker}"


def migrate(database_url: str) -> None:
    """Bring a database to the newest schema; without migrations it stays empty."""
    if not has_migrations():
        return
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]
    env = os.environ | {"DATABASE_URL": database_url}
    done = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServiceFailed(f"alembic upgrade head failed\n{done.stdout}{done.stderr}")


def remove_leftovers() -> None:
    """Remove the folders of runs that were killed: those whose lock nobody holds."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        with contextlib.suppress(OSError), (folder / "lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
