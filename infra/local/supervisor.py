"""Starts the whole system in order, keeps it running, and stops it without leaving anything behind."""

import os
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.local.console import complain, say, terminal_watch, timed_step
from infra.local.environment import ServiceAddresses, app_settings, default_workers
from infra.local.home import REPOSITORY, Home
from infra.local.run_lock import RunLock
from infra.local.schema import has_migrations, is_current
from infra.local.services.azurite import AzuritePorts, AzuriteServer, allow_uploads_from_browsers
from infra.local.services.functions_host import FunctionsHost
from infra.local.services.guard import Guard
from infra.local.services.issuer import Issuer, SigningKey
from infra.local.services.postgres import PostgresServer
from infra.local.services.process import ServiceFailed, ServiceProcess
from infra.local.services.smtp_sink import SmtpSink
from infra.local.services.valkey import ValkeyServer

DATABASE = "boxoffice"
STOP_SECONDS = 9.5
HOST_STOP_SECONDS = 8.0
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0
AZURITE_PROGRAM = REPOSITORY / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"


class Service(Protocol):
    """What the supervisor needs to know about a program."""

    name: str
    process: ServiceProcess

    def start(self) -> None:
        """Start and wait until the program is ready."""
        ...

    def stop(self, *, timeout: float) -> None:
        """Stop within `timeout` seconds; idempotent."""
        ...


@dataclass
class Watched:
    """A running service and the results of its restarts."""

    service: Service
    started: float
    failures: int = 0
    restart: Future[None] | None = None

    def pause(self) -> float:
        """How long to wait before the next restart: no wait at first, then twice as long after each failure."""
        if time.monotonic() - self.started > STEADY_SECONDS:
            self.failures = 0
        self.failures += 1
        return 0.0 if self.failures == 1 else min(2.0 ** (self.failures - 2), LONGEST_PAUSE)


class LocalSystem:
    """PostgreSQL, Redis, storage, issuer, mail and the functions host, as one thing to start and stop."""

    def __init__(self, home: Home, lock: RunLock, *, port: int, app: Path) -> None:
        self._home = home
        self._port = port
        self._app = app
        self._guard = Guard(keep_open=[lock.descriptor])
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="start")
        self._stopping = threading.Event()
        self._services: list[Service] = []
        self._watched: dict[str, Watched] = {}
        self._tasks: list[ServiceProcess] = []
        ports = home.ports
        self._issuer = Issuer(key=SigningKey.kept_in(home.issuer_key), port=ports.get_free("issuer"))
        self._mail = SmtpSink(home.mail, port=ports.get_free("smtp"))

    def start(self) -> ServiceAddresses:
        """Start everything, bring the database up to date, fill in the demo data; returns the addresses."""
        self._issuer.start()
        self._mail.start()
        database = self._pool.submit(self._start_database)
        redis = self._pool.submit(self._start_redis)
        storage = self._pool.submit(self._start_storage)
        addresses = ServiceAddresses(
            database=database.result(),
            redis=redis.result(),
            storage=storage.result(),
            issuer=self._issuer.url,
            mail=self._mail.url,
            public=f"http://localhost:{self._port}",
        )
        workers = default_workers()
        settings = app_settings(addresses, keys=self._home.keys(), workers=workers)
        demo = self._pool.submit(self._load_demo_data, settings)
        host = self._pool.submit(self._start_host, settings, workers)
        demo.result()
        host.result()
        return addresses

    def watch(self) -> None:
        """Restart services that die, until interrupted or until the terminal is closed."""
        terminal_closed = terminal_watch()
        while not terminal_closed() and not self._stopping.wait(0.2):
            for watched in self._watched.values():
                self._look_after(watched)

    def stop(self) -> None:
        """Stop the host, so that running requests finish, then the services that it needs, all within ten seconds."""
        deadline = time.monotonic() + STOP_SECONDS
        self._stopping.set()
        self._stop_programs(deadline)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._stop_programs(deadline)  # a start that was still under way may have added services in the meantime
        self._mail.stop()
        self._issuer.stop()
        self._guard.close()

    def _stop_programs(self, deadline: float) -> None:
        for task in self._tasks:
            task.stop(timeout=1.0)
        hosts = [service for service in self._services if isinstance(service, FunctionsHost)]
        for host in hosts:
            host.stop(timeout=HOST_STOP_SECONDS)
        others = [service for service in reversed(self._services) if service not in hosts]
        remaining = max(deadline - time.monotonic(), 1.0)
        stoppers = [threading.Thread(target=service.stop, kwargs={"timeout": remaining}) for service in others]
        for stopper in stoppers:
            stopper.start()
        for stopper in stoppers:
            stopper.join()

    def _start_database(self) -> str:
        url = os.environ.get("DATABASE_URL")
        if not url:
            server = PostgresServer(
                self._home.postgres,
                log=self._home.logs / "postgres.log",
                guard=self._guard,
                port=self._home.ports.get_free("postgres"),
            )
            with timed_step("PostgreSQL"):
                self._begin(server)
                server.ensure_database(DATABASE)
            url = server.url(DATABASE)
        if has_migrations() and not is_current(url):
            with timed_step("Database schema (alembic upgrade)"):
                self._run("migrations", ["alembic", "upgrade", "head"], {"DATABASE_URL": url} | self._home.keys())
        return url

    def _start_redis(self) -> str:
        if url := os.environ.get("REDIS_URL"):
            return url
        port = self._home.ports.get_free("redis")
        server = ValkeyServer(log=self._home.logs / "valkey.log", guard=self._guard, port=port)
        with timed_step("Redis (Valkey)"):
            self._begin(server)
        return server.url()

    def _start_storage(self) -> str:
        if connection := os.environ.get("AzureWebJobsStorage"):  # noqa: SIM112 -- Azure writes it so
            return connection
        ports = AzuritePorts(*(self._home.ports.get_free(f"azurite-{name}") for name in ("blob", "queue", "table")))
        server = AzuriteServer(
            self._home.azurite,
            program=AZURITE_PROGRAM,
            log=self._home.logs / "azurite.log",
            guard=self._guard,
            ports=ports,
        )
        with timed_step("Storage (Azurite)"):
            self._begin(server)
            allow_uploads_from_browsers(server.url())
        return server.url()

    def _load_demo_data(self, settings: Mapping[str, str]) -> None:
        if (REPOSITORY / "infra" / "local" / "demo.py").exists():
            with timed_step("Demo data"):
                self._run("demo", ["infra.local.demo"], settings)

    def _start_host(self, settings: Mapping[str, str], workers: int) -> None:
        host = FunctionsHost(
            self._app,
            log=self._home.logs / "host.log",
            guard=self._guard,
            port=self._port,
            environment=settings,
            keys_file=self._home.folder / "functions-keys.json",
            workers=workers,
            echo=say,
        )
        with timed_step("Functions host"):
            self._begin(host)

    def _begin(self, service: Service) -> None:
        self._refuse_when_stopping()
        self._services.append(service)
        service.start()
        self._watched[service.name] = Watched(service, time.monotonic())

    def _refuse_when_stopping(self) -> None:
        if self._stopping.is_set():
            raise ServiceFailed("stopping")

    def _run(self, name: str, module: list[str], settings: Mapping[str, str]) -> None:
        self._refuse_when_stopping()
        task = ServiceProcess(name, log=self._home.logs / f"{name}.log", guard=self._guard)
        self._tasks.append(task)
        task.run_to_end([sys.executable, "-m", *module], env=os.environ | dict(settings), cwd=REPOSITORY)

    def _look_after(self, watched: Watched) -> None:
        service = watched.service
        if watched.restart is not None:
            if not watched.restart.done():
                return
            error = watched.restart.exception()
            watched.restart = None
            if error is None:
                say(f"{service.name} runs again.")
                return
            complain(f"{service.name} could not be restarted: {error}")
        elif service.process.exit_code is not None:
            complain(
                f"{service.name} has ended with code {service.process.exit_code}.\n{service.process.tail()}".rstrip()
            )
        else:
            return
        pause = watched.pause()
        complain(f"Restarting {service.name}{f' in {pause:g} s' if pause else ''} …")
        watched.restart = self._pool.submit(self._restart, watched, pause)

    def _restart(self, watched: Watched, pause: float) -> None:
        if self._stopping.wait(pause):
            return
        watched.service.stop(timeout=1.0)
        watched.started = time.monotonic()
        watched.service.start()
