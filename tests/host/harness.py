import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from tests.harness.polling import PATIENCE_SECONDS, poll

ROOT = Path(__file__).resolve().parents[2]
APPS = Path(__file__).resolve().parent / "apps"
NEVER = "0 0 0 1 1 *"
_ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Azurite:
    """A real Azurite in memory, which can be stopped and started again on the same ports."""

    def __init__(self) -> None:
        self._ports = {name: free_port() for name in ("blob", "queue", "table")}
        self._process: subprocess.Popen[bytes] | None = None
        urls = {name: f"http://127.0.0.1:{self._ports[name]}/devstoreaccount1" for name in ("blob", "queue")}
        self.connection = (
            f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={_ACCOUNT_KEY};"
            f"BlobEndpoint={urls['blob']};QueueEndpoint={urls['queue']};"
        )
        options: dict[str, Any] = {"retry_total": 0}
        self.blobs = BlobServiceClient.from_connection_string(self.connection, **options)
        self.queues = QueueServiceClient.from_connection_string(self.connection, **options)

    def start(self) -> None:
        script = ROOT / "node_modules/azurite/dist/src/azurite.js"
        ports = [part for name, port in self._ports.items() for part in (f"--{name}Port", str(port))]
        flags = ["--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry"]
        self._process = subprocess.Popen(["node", str(script), *flags, *ports], stdout=subprocess.DEVNULL)
        poll(self._answers)

    def _answers(self) -> bool:
        try:
            list(self.blobs.list_containers())
            list(self.queues.list_queues())
        except AzureError:
            return False
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        self.stop()
        self.blobs.close()
        self.queues.close()

    def send(self, queue: str, text: str) -> None:
        self.queues.get_queue_client(queue).send_message(base64.b64encode(text.encode()).decode())

    def messages(self, queue: str) -> list[str]:
        try:
            found = self.queues.get_queue_client(queue).peek_messages(32)
        except ResourceNotFoundError:
            return []
        return [base64.b64decode(message.content).decode() for message in found]

    def take(self, queue: str) -> list[str]:
        """Return all messages and remove them."""
        try:
            client = self.queues.get_queue_client(queue)
            taken = list(client.receive_messages(messages_per_page=32))
        except ResourceNotFoundError:
            return []
        for message in taken:
            client.delete_message(message)
        return [base64.b64decode(message.content).decode() for message in taken]

    def upload(self, container: str, name: str, content: bytes) -> None:
        self.blobs.get_blob_client(container, name).upload_blob(content, overwrite=True)

    def names(self, container: str) -> set[str]:
        try:
            return set(self.blobs.get_container_client(container).list_blob_names())
        except ResourceNotFoundError:
            return set()

    def wait_for(self, *, queue: str = "", container: str = "") -> None:
        """Wait until a listener has made its queue or container."""
        poll(lambda: not queue or queue in {found.name for found in self.queues.list_queues()})
        poll(lambda: not container or container in {found.name for found in self.blobs.list_containers()})

    def content(self, container: str, name: str) -> bytes:
        return self.blobs.get_blob_client(container, name).download_blob().readall()


class RunningHost:
    """The host as a process, its output, and its port."""

    def __init__(
        self,
        app: str,
        folder: Path,
        *,
        workers: int = 2,
        http_only: bool = False,
        settings: dict[str, str] | None = None,
        port: int = 0,
    ) -> None:
        self.keys_file = folder / "keys.json"
        self._log = folder / f"host-{time.monotonic_ns()}.log"
        given = {"FUNCTIONS_KEYS_FILE": str(self.keys_file), "TICK": NEVER, "FUNCTIONS_BLOB_POLL_SECONDS": "0.1"}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("Azure", "FUNCTIONS"))}
        command = [sys.executable, "-m", "infra.local.host", "--app", str(APPS / app), "--port", str(port)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--workers", str(workers), *(["--http-only"] if http_only else [])],
                cwd=ROOT,
                env={**inherited, **given, **(settings or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait_until_listening(self) -> "RunningHost":
        poll(lambda: "Listening on " in self.output or self.process.poll() is not None)
        assert self.process.poll() is None, self.output
        return self

    @property
    def url(self) -> str:
        return self.output.partition("Listening on ")[2].split()[0]

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=PATIENCE_SECONDS, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return httpx.request(method, self.url + path, timeout=PATIENCE_SECONDS, **options)

    @property
    def keys(self) -> dict[str, str]:
        content: dict[str, str] = json.loads(self.keys_file.read_text())
        return content

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)
