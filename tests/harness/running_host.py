import subprocess

from infra.local.services.functions_host import FunctionsHost


class RunningHost:
    """A functions host that serves the application for tests."""

    def __init__(self, host: FunctionsHost) -> None:
        self._host = host

    @property
    def url(self) -> str:
        """The address, without /api/v1."""
        return self._host.url

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The host's process, to send signals to."""
        popen = self._host.process.popen
        assert popen is not None, "the host is stopped"
        return popen

    def log(self) -> str:
        """All that it has written so far."""
        return self._host.process.output()

    def stop(self, *, timeout: float = 10.0) -> None:
        """Let running work finish, then stop; idempotent."""
        self._host.stop(timeout=timeout)
