"""Where the local environment keeps its files, and the values that stay the same at each start."""

import base64
import json
import os
import random
import secrets
import socket
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from infra.local.private_files import create_private, replace_private

REPOSITORY = Path(__file__).parents[2]
# Below the range of ports that Linux uses for outgoing connections: such a connection could block our port.
PORT_RANGE = range(20_000, 32_000)
KEYS = ("TICKET_SIGNING_KEY", "ORDER_LINK_KEY")


@dataclass(frozen=True)
class Home:
    """The `.local` folder: it holds all files that a running environment writes."""

    folder: Path

    @classmethod
    def of_this_checkout(cls) -> "Home":
        """The repository's `.local`, or the folder that BOXOFFICE_HOME names."""
        return cls(Path(os.environ.get("BOXOFFICE_HOME") or REPOSITORY / ".local").absolute())

    @property
    def logs(self) -> Path:
        """One log file for each service."""
        return self.folder / "logs"

    @property
    def mail(self) -> Path:
        """The mails sent, one .eml file each."""
        return self.folder / "mail"

    @property
    def postgres(self) -> Path:
        """The database cluster."""
        return self.folder / "postgres"

    @property
    def azurite(self) -> Path:
        """Blobs, queues and tables."""
        return self.folder / "azurite"

    @property
    def issuer_key(self) -> Path:
        """The key that signs local tokens."""
        return self.folder / "issuer" / "key.pem"

    @property
    def run(self) -> Path:
        """The lock and the process ids of a running environment."""
        return self.folder / "run"

    @cached_property
    def ports(self) -> "RememberedPorts":
        """The ports of the services."""
        return RememberedPorts(self.folder / "ports.json")

    def keys(self) -> dict[str, str]:
        """The application's secret keys, each 32 random bytes in base64, made once."""
        path = self.folder / "secrets.json"
        if not path.exists():
            made = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in KEYS}
            create_private(path, json.dumps(made, indent=2).encode())
        kept: dict[str, str] = json.loads(path.read_text())
        return kept


class RememberedPorts:
    """Ports by name, the same at each start: image links and token issuers that contain them stay valid."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def get(self, name: str) -> int:
        """The port remembered for `name`; a free one is chosen and remembered the first time."""
        return self._read().get(name) or self._choose(name)

    def get_free(self, name: str) -> int:
        """Like `get`, but choose and remember a new port if another program uses the remembered one."""
        port = self.get(name)
        return port if is_free(port) else self._choose(name)

    def _choose(self, name: str) -> int:
        with self._lock:
            ports = self._read()
            ports[name] = free_port(apart_from=set(ports.values()))
            replace_private(self._path, json.dumps(ports, indent=2).encode())
            return ports[name]

    def _read(self) -> dict[str, int]:
        if not self._path.exists():
            return {}
        ports: dict[str, int] = json.loads(self._path.read_text())
        return ports


def is_free(port: int) -> bool:
    """Whether nothing listens on `port` of 127.0.0.1."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(*, apart_from: set[int] | None = None) -> int:
    """A port that nobody listens on, chosen at random, so that two starts at once rarely choose the same one."""
    for port in random.sample(PORT_RANGE, len(PORT_RANGE)):
        if port not in (apart_from or ()) and is_free(port):
            return port
    raise OSError(f"no free port between {PORT_RANGE.start} and {PORT_RANGE.stop}")
