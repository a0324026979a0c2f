"""Servers and clients for tests. Each is started when a test first asks for it, and belongs to one worker.

pytest-xdist's controller (without xdist: the one process) owns PostgreSQL, the Redis-compatible server and the
storage emulator; each worker has its own database, numbered Redis database, storage account, issuer and mail sink.
"""

import base64
import os
import secrets
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from infra.local.environment import ServiceAddresses, app_settings
from infra.local.home import KEYS, REPOSITORY, free_port
from infra.local.services.functions_host import FunctionsHost
from infra.local.services.guard import Guard
from infra.local.services.issuer import Issuer
from infra.local.services.smtp_sink import SmtpSink
from tests.harness import databases
from tests.harness.exchange import Exchange, RemoteServices, ServiceDirectory
from tests.harness.mail_box import MailBox
from tests.harness.polling import poll as poll_until
from tests.harness.running_host import RunningHost
from tests.harness.shared_services import SharedServices

SERVICES = pytest.StashKey[ServiceDirectory]()
EXCHANGE = pytest.StashKey[Exchange]()

PATIENT = {
    "DATABASE_CONNECT_TIMEOUT_SECONDS": "60",
    "DATABASE_POOL_TIMEOUT_SECONDS": "60",
    "DATABASE_STATEMENT_TIMEOUT_MS": "60000",
    "DATABASE_LOCK_TIMEOUT_MS": "60000",
    "REDIS_TIMEOUT_MS": "5000",
}
"""The longest time-outs, so that no crowd on a slow machine is told 503. Tests of time-outs set their own."""


def pytest_configure(config: pytest.Config) -> None:
    """Give the controller the services (none is started yet) and give each worker a connection to them."""
    if hasattr(config, "workerinput"):
        config.stash[SERVICES] = RemoteServices(config.workerinput["services"])
    else:
        config.stash[SERVICES] = SharedServices()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a pytest-xdist worker where to ask."""
    services = node.config.stash[SERVICES]
    if EXCHANGE not in node.config.stash:
        node.config.stash[EXCHANGE] = Exchange(services, services.folder / "exchange")
    node.workerinput["services"] = str(node.config.stash[EXCHANGE].address)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop everything, also after an interrupt; after SIGKILL the guard does it."""
    if exchange := config.stash.get(EXCHANGE, None):
        exchange.close()
    services = config.stash.get(SERVICES, None)
    if isinstance(services, SharedServices):
        services.stop()


class StartHost(Protocol):
    """Starts a host with some settings changed or left out. An `http_only` host costs half as much."""

    def __call__(self, *, http_only: bool = False, **changes: str | None) -> RunningHost:
        """The host, running."""
        ...


class AskFor(Protocol):
    """Asks for a shared server for this worker."""

    def __call__(self, what: str) -> str:
        """The address of `what`."""
        ...


@pytest.fixture(scope="session")
def worker_name() -> str:
    """This worker's name: gw0, gw1, …; main without pytest-xdist."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture(scope="session")
def shared_service(pytestconfig: pytest.Config, worker_name: str) -> AskFor:
    """Asks for a shared server, which is started if it is not running yet."""
    services = pytestconfig.stash[SERVICES]

    def ask(what: str) -> str:
        return services.ask(what, worker_name)

    return ask


@pytest.fixture(scope="session")
def worker_folder(shared_service: AskFor, worker_name: str) -> Path:
    """A folder of this worker, which is removed after the run."""
    folder = Path(shared_service("folder")) / worker_name
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def guard() -> Iterator[Guard]:
    """Stops the programs that this worker starts, even when the worker is killed."""
    guard = Guard()
    yield guard
    guard.close()


@pytest.fixture(scope="session")
def postgres_url(shared_service: AskFor) -> str:
    """The server's maintenance database, as superuser."""
    return shared_service("postgres")


@pytest.fixture(scope="session")
def template_url(shared_service: AskFor) -> str:
    """A migrated, empty database, which is only for copying."""
    return shared_service("template")


@pytest.fixture(scope="session")
def database_url(shared_service: AskFor, worker_name: str) -> str:
    """This worker's own migrated database, the one that `host` uses too."""
    return databases.clone(shared_service("template"), f"boxoffice_{worker_name}")


@contextmanager
def _databases(shared_service: AskFor) -> Iterator[Callable[[], str]]:
    made: list[str] = []

    def make() -> str:
        made.append(databases.clone(shared_service("template"), f"test_{uuid.uuid4().hex}"))
        return made[-1]

    try:
        yield make
    finally:
        for url in made:
            databases.drop(url)


@pytest.fixture
def new_database(shared_service: AskFor) -> Iterator[Callable[[], str]]:
    """Makes migrated, empty databases for this test alone; each call returns a new one's URL."""
    with _databases(shared_service) as make:
        yield make


@pytest.fixture(scope="module")
def module_database(shared_service: AskFor) -> Iterator[str]:
    """A migrated, empty database that the tests of a module share."""
    with _databases(shared_service) as make:
        yield make()


@pytest.fixture
def fresh_database(new_database: Callable[[], str]) -> str:
    """A migrated, empty database for this test alone."""
    return new_database()


@pytest.fixture(scope="session")
def redis_url(shared_service: AskFor) -> str:
    """This worker's own numbered database."""
    return shared_service("redis")


@pytest.fixture(scope="session")
def storage(shared_service: AskFor) -> str:
    """The connection string of this worker's own storage account."""
    return shared_service("storage")


@pytest.fixture(scope="session")
def second_storage(shared_service: AskFor) -> str:
    """Another account of this worker, for its other hosts: `host` does not use it."""
    return shared_service("second storage")


@pytest.fixture(scope="session")
def third_storage(shared_service: AskFor) -> str:
    """One more account, for a module that runs two hosts of its own at the same time."""
    return shared_service("third storage")


@pytest.fixture(scope="session")
def mail_sink(worker_folder: Path) -> Iterator[SmtpSink]:
    """This worker's mail server; it refuses addresses at bounce.test."""
    sink = SmtpSink(worker_folder / "mail")
    sink.start()
    yield sink
    sink.stop()


@pytest.fixture(scope="session")
def mail_box(mail_sink: SmtpSink) -> MailBox:
    """The mails that this worker's application has sent."""
    return MailBox(mail_sink.folder)


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    """This worker's token issuer; after `rotate()` older tokens are not accepted for the rest of the session."""
    issuer = Issuer()
    issuer.start()
    yield issuer
    issuer.stop()


@pytest.fixture(scope="session")
def host_port() -> int:
    """The port of this worker's `host`, known before it runs because links contain it."""
    return free_port()


@pytest.fixture(scope="session")
def app_environment(
    shared_service: AskFor, request: pytest.FixtureRequest, issuer: Issuer, mail_sink: SmtpSink, host_port: int
) -> dict[str, str]:
    """The application's environment variables for this worker."""
    with ThreadPoolExecutor() as pool:  # start the servers side by side
        list(pool.map(shared_service, ("template", "redis", "storage")))
    addresses = ServiceAddresses(
        database=request.getfixturevalue("database_url"),
        redis=request.getfixturevalue("redis_url"),
        storage=request.getfixturevalue("storage"),
        issuer=issuer.url,
        mail=mail_sink.url,
        public=f"http://127.0.0.1:{host_port}",
    )
    keys = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in KEYS}
    return app_settings(addresses, keys=keys) | {
        **PATIENT,
        "OUTBOX_SCHEDULE": "*/2 * * * * *",
        "UPLOADS_SCHEDULE": "*/5 * * * * *",
        # Never: the timer would report on all sales of a test run. Its own tests run it by hand.
        "SALES_REFRESH_SCHEDULE": "0 0 0 1 1 *",
        "FUNCTIONS_BACKGROUND_NICENESS": "0",  # tests wait for mail, and other tests keep all cores busy
    }


@pytest.fixture(scope="session")
def host(app_environment: dict[str, str], guard: Guard, worker_folder: Path, host_port: int) -> Iterator[RunningHost]:
    """The real functions host serving this repository's application, shared by this worker's tests."""
    host = FunctionsHost(
        REPOSITORY,
        log=worker_folder / "host.log",
        guard=guard,
        port=host_port,
        environment=app_environment,
        keys_file=worker_folder / "functions-keys.json",
    )
    try:
        host.start()
        yield RunningHost(host)
    finally:
        host.stop()


@contextmanager
def _hosts(app_environment: dict[str, str], guard: Guard, worker_folder: Path) -> Iterator[StartHost]:
    started: list[FunctionsHost] = []

    def start(*, http_only: bool = False, **changes: str | None) -> RunningHost:
        port = free_port()
        changed: dict[str, str | None] = {
            **app_environment,
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
            **changes,
        }
        environment = {name: value for name, value in changed.items() if value is not None}
        log = worker_folder / f"host-{uuid.uuid4().hex[:8]}.log"
        host = FunctionsHost(
            REPOSITORY,
            log=log,
            guard=guard,
            port=port,
            environment=environment,
            keys_file=worker_folder / "functions-keys.json",
            http_only=http_only,
        )
        started.append(host)
        host.start()
        return RunningHost(host)

    try:
        yield start
    finally:
        for host in started:
            host.stop()


@pytest.fixture
def start_host(app_environment: dict[str, str], guard: Guard, worker_folder: Path) -> Iterator[StartHost]:
    """Starts hosts for this test alone: `start_host(NAME="value", OTHER=None)` sets and leaves out variables."""
    with _hosts(app_environment, guard, worker_folder) as start:
        yield start


@pytest.fixture(scope="module")
def start_module_host(app_environment: dict[str, str], guard: Guard, worker_folder: Path) -> Iterator[StartHost]:
    """Starts hosts that the tests of a module share: starting one takes longer than most tests."""
    with _hosts(app_environment, guard, worker_folder) as start:
        yield start


@pytest.fixture(scope="session")
def client(host: RunningHost) -> Iterator[httpx.Client]:
    """Calls this worker's host; paths are relative to /api/v1."""
    with httpx.Client(base_url=f"{host.url}/api/v1", timeout=30.0, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def poll() -> Any:
    """`poll(until)`: see tests.harness.polling."""
    return poll_until
