from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.host.harness import Azurite, RunningHost

type StartHost = Callable[..., RunningHost]


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    """An Azurite of this module's own."""
    server = Azurite()
    server.start()
    yield server
    server.close()


@pytest.fixture
def start_host(tmp_path: Path) -> Iterator[StartHost]:
    """Start hosts, waiting until they listen; all are stopped after the test."""
    started: list[RunningHost] = []

    def start(app: str = "everything", *, workers: int = 2, http_only: bool = False, **settings: str) -> RunningHost:
        host = RunningHost(app, tmp_path, workers=workers, http_only=http_only, settings=settings)
        started.append(host)
        return host.wait_until_listening()

    yield start
    for host in started:
        host.stop()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host without storage that the tests of a module share."""
    running = RunningHost("everything", tmp_path_factory.mktemp("host"))
    running.wait_until_listening()
    yield running
    running.stop()
