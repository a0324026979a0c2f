"""How pytest-xdist's workers ask the controller for the shared servers: one line of JSON each way."""

import json
import socket
import socketserver
import threading
from pathlib import Path
from typing import Protocol

ANSWER_SECONDS = 180.0


class ServiceDirectory(Protocol):
    """A source of addresses: the shared services themselves, or the controller's exchange."""

    def ask(self, what: str, worker: str) -> str:
        """The address of `what` for `worker`."""
        ...


class Exchange:
    """Answers workers on a Unix socket for as long as the controller lives."""

    def __init__(self, services: ServiceDirectory, address: Path) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                what, worker = json.loads(self.rfile.readline())
                try:
                    answer = {"answer": services.ask(what, worker)}
                except Exception as error:  # noqa: BLE001 -- the worker raises it again
                    answer = {"error": str(error)}
                self.wfile.write(json.dumps(answer).encode() + b"\n")

        self.address = address
        self._server = _Server(str(address), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="exchange", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class RemoteServices:
    """The shared services as a worker sees them."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, what: str, worker: str) -> str:
        """The address of `what` for `worker`, from the controller."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(self._address)
            connection.sendall(json.dumps([what, worker]).encode() + b"\n")
            with connection.makefile("rb") as reader:
                answer = json.loads(reader.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return str(answer["answer"])


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
