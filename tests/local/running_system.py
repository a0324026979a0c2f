import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from infra.local.home import REPOSITORY, Home, free_port
from tests.harness.polling import PATIENCE_SECONDS, poll

APP = Path(__file__).parent / "app"
NOT_INHERITED = (
    "DATABASE_URL",
    "REDIS_URL",
    "AzureWebJobsStorage",
    "BOXOFFICE_LOCK_FD",
    "BOXOFFICE_STARTED",
    "WORKERS",
)


class RunningSystem:
    """`python -m infra.local dev` in a folder of its own, with the smallest application."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        self.port = free_port()
        self.output = folder.with_name(f"{folder.name}.out")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The host's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The supervisor."""
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start it and wait until it greets."""
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "infra.local", "dev"],
                cwd=REPOSITORY,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        poll(lambda: self.process.poll() is not None or "Ready" in self.said())
        assert self.process.poll() is None, self.said()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command in the same folder."""
        command = [sys.executable, "-m", "infra.local", *arguments]
        env = self.environment()
        return subprocess.run(
            command, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )

    def environment(self) -> dict[str, str]:
        """The variables that make a command use this folder and port."""
        kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        own = {"BOXOFFICE_HOME": str(self.home.folder), "BOXOFFICE_APP": str(APP), "PORT": str(self.port)}
        return kept | own | {"WORKERS": "1"}

    def said(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(errors="replace")

    def ports(self) -> dict[str, int]:
        """The ports that it remembers."""
        found: dict[str, int] = json.loads((self.home.folder / "ports.json").read_text())
        return found

    def process_ids(self) -> list[int]:
        """The processes of this system, even if they have another parent by now."""
        return processes_with("BOXOFFICE_HOME", self.home.folder)

    def end(self) -> None:
        """Kill all processes that are left; for the end of a failed test."""
        for pid in self.process_ids():
            os.kill(pid, signal.SIGKILL)
        if self._process:
            self._process.wait()


def processes_with(variable: str, folder: Path) -> list[int]:
    """The ids of the processes that were started with this environment variable, or that work inside the folder.

    PostgreSQL's processes overwrite their environment with their titles; their working directory is the data.
    """
    mark = f"{variable}={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = (process / "cwd").readlink().is_relative_to(folder)
            if ours or mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found
