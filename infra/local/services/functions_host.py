import http.client
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.local.services.guard import Guard
from infra.local.services.process import START_SECONDS, ServiceProcess

HEALTH_PATH = "/api/v1/health/ready"
# Variables of the caller that would change what the application does; all others (PATH, HOME, locale) are passed on.
NOT_PASSED_ON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


class FunctionsHost:
    """The local functions host as a separate program that serves one application on 127.0.0.1.

    With `http_only` it runs no timer, queue or blob functions, so another host can run them on the same storage.
    """

    name = "host"

    def __init__(
        self,
        app: Path,
        *,
        log: Path,
        guard: Guard,
        port: int,
        environment: Mapping[str, str],
        keys_file: Path,
        workers: int = 1,
        http_only: bool = False,
        echo: Callable[[str], None] | None = None,
    ) -> None:
        self.app = app
        self.port = port
        self._metrics = log.with_suffix(".metrics")
        self._environment = {
            **environment,
            "FUNCTIONS_KEYS_FILE": str(keys_file),
            "PROMETHEUS_MULTIPROC_DIR": str(self._metrics),
        }
        self._workers = workers
        self._http_only = http_only
        self._echo = echo
        # After SIGTERM running requests and messages finish, which takes up to 8 s.
        self.process = ServiceProcess(self.name, log=log, guard=guard)

    @property
    def url(self) -> str:
        """The address, without the API's prefix."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the host and wait until the application says that it is ready."""
        shutil.rmtree(self._metrics, ignore_errors=True)  # the counts of processes that have ended
        self._metrics.mkdir(parents=True)
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
        command = [sys.executable, "-m", "infra.local.host", "--app", str(self.app)]
        command += ["--port", str(self.port), "--workers", str(self._workers)]
        command += ["--http-only"] if self._http_only else []
        env = inherited | self._environment | {"PYTHONUNBUFFERED": "1"}
        self.process.spawn(command, env=env, cwd=Path(__file__).parents[3], echo=self._echo)
        self.process.wait_ready(self._ready, timeout=START_SECONDS)

    def stop(self, *, timeout: float = 8.0) -> None:
        """Let running requests and messages finish, then stop."""
        self.process.stop(timeout=timeout)

    def _ready(self) -> bool:
        if f"Listening on {self.url}" not in self.process.output():
            return False  # another program on this port could answer the request below
        try:
            with urllib.request.urlopen(f"{self.url}{HEALTH_PATH}", timeout=2) as answer:  # noqa: S310 -- our own http address
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError, http.client.HTTPException):
            return False
