import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.services.guard import Guard
from infra.local.services.process import START_SECONDS, ServiceFailed, ServiceProcess

SERVICES = ("Blob", "Queue", "Table")
# The emulator's well-known account, the same on every machine: no secret.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class AzuritePorts:
    """One port for each of the three services."""

    blob: int
    queue: int
    table: int


class AzuriteServer:
    """The storage emulator on 127.0.0.1; `data=None` keeps everything in memory, `accounts` maps names to keys."""

    name = "azurite"

    def __init__(
        self,
        data: Path | None,
        *,
        program: Path,
        log: Path,
        guard: Guard,
        ports: AzuritePorts,
        accounts: Mapping[str, str] | None = None,
    ) -> None:
        self.ports = ports
        self._data = data
        self._program = program.absolute()
        self._accounts = dict(accounts or {ACCOUNT: ACCOUNT_KEY})
        # SIGTERM lets it write its metadata: SIGKILL can lose a container that was just made.
        self.process = ServiceProcess(self.name, log=log, guard=guard)

    def url(self, account: str = ACCOUNT) -> str:
        """The connection string of `account`."""
        parts = ["DefaultEndpointsProtocol=http", f"AccountName={account}", f"AccountKey={self._accounts[account]}"]
        ports = (self.ports.blob, self.ports.queue, self.ports.table)
        for service, port in zip(SERVICES, ports, strict=True):
            parts.append(f"{service}Endpoint=http://127.0.0.1:{port}/{account}")
        return ";".join(parts) + ";"

    def start(self) -> None:
        """Start the emulator and wait until all three services listen."""
        node = shutil.which("node")
        if node is None or not self._program.exists():
            raise ServiceFailed("Azurite is not installed: run `npm ci` (Node 20 or later), or set AzureWebJobsStorage")
        env = os.environ | {"AZURITE_ACCOUNTS": ";".join(f"{name}:{key}" for name, key in self._accounts.items())}
        self.process.spawn([node, self._program, *self._arguments()], env=env, cwd=self.process.log.parent)
        self.process.wait_ready(self._listens, timeout=START_SECONDS)

    def stop(self, *, timeout: float = 5.0) -> None:
        """Write the data in memory to disk and stop."""
        self.process.stop(timeout=timeout)

    def _arguments(self) -> list[str]:
        arguments = ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
        for service, port in (("blob", self.ports.blob), ("queue", self.ports.queue), ("table", self.ports.table)):
            arguments += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
        if self._data is None:
            return [*arguments, "--inMemoryPersistence"]
        self._data.mkdir(parents=True, exist_ok=True)
        return [*arguments, "--location", str(self._data)]

    def _listens(self) -> bool:
        """Read this from the emulator's own output: a connection could also reach another program on the port."""
        output = self.process.output()
        return all(f"Azurite {service} service is successfully listening" in output for service in SERVICES)


def allow_uploads_from_browsers(connection: str) -> None:
    """Let pages of any origin send files to upload links; docs/deploying.md allows this only for your own pages."""
    from azure.storage.blob import BlobServiceClient, CorsRule  # noqa: PLC0415 - only `make dev` needs it

    rule = CorsRule(["*"], ["PUT"], allowed_headers=["content-type", "x-ms-*"], max_age_in_seconds=3600)
    with BlobServiceClient.from_connection_string(connection) as service:
        service.set_service_properties(cors=[rule])
