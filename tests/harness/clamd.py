"""Two clamds for tests: the real one with a signature of our own, and a stand-in that speaks INSTREAM as it does."""

import shutil
import socketserver
import struct
import threading
from pathlib import Path

from infra.local.home import free_port
from infra.local.services.guard import Guard
from infra.local.services.process import START_SECONDS, ServiceProcess
from tests.harness.polling import PATIENCE_SECONDS

MARKER = b"BOXOFFICE-TEST-MALWARE-7f3a"
"""Both take this for malware. It is harmless, and unlike EICAR's file no other scanner on the machine reports it."""
FOUND = "Boxoffice.Test.UNOFFICIAL"


class RealClamd:
    """The ClamAV daemon of the machine, on a free port, with a database of one signature."""

    program = shutil.which("clamd", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin") or shutil.which("clamd")

    def __init__(self, folder: Path, guard: Guard, *, port: int | None = None) -> None:
        self.port = port or free_port()
        self._folder = folder
        self._process = ServiceProcess("clamd", log=folder / "clamd.log", guard=guard)

    def start(self) -> None:
        assert self.program is not None
        database = self._folder / "signatures"
        database.mkdir(parents=True, exist_ok=True)
        (database / "boxoffice.ndb").write_text(f"Boxoffice.Test:0:*:{MARKER.hex()}\n")
        settings = self._folder / "clamd.conf"
        settings.write_text(
            f"DatabaseDirectory {database}\nTCPAddr 127.0.0.1\nTCPSocket {self.port}\nForeground yes\n"
            f"StreamMaxLength 6M\nMaxThreads 2\nTemporaryDirectory {self._folder}\n"
        )
        self._process.spawn([self.program, "--config-file", settings])
        self._process.wait_ready(lambda: "Self checking" in self._process.output(), timeout=START_SECONDS)

    def stop(self) -> None:
        self._process.stop(timeout=PATIENCE_SECONDS)


class StandInClamd:
    """Reads `zINSTREAM`, then chunks up to the empty one; answers by MARKER, or as `says` requires.

    `says`: None for a verdict, "" to close without an answer, "silence" to never answer, else the exact answer.
    """

    def __init__(self, *, stream_max_length: int = 6_000_000, port: int = 0) -> None:
        self.says: str | None = None
        self.scanned: list[int] = []  # the size of each file
        self._ended = threading.Event()
        stand_in = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                command = self.rfile.read(10)
                assert command == b"zINSTREAM\0", command
                data = bytearray()
                while size := struct.unpack("!I", self.rfile.read(4))[0]:
                    data += self.rfile.read(size)
                    if len(data) > stream_max_length:
                        self.wfile.write(b"INSTREAM size limit exceeded. ERROR\0")
                        return
                stand_in.scanned.append(len(data))
                self._answer(bytes(data))

            def _answer(self, data: bytes) -> None:
                if stand_in.says == "silence":
                    stand_in._ended.wait(PATIENCE_SECONDS)
                elif stand_in.says is not None:
                    self.wfile.write(stand_in.says.encode())
                else:
                    self.wfile.write(f"stream: {FOUND} FOUND\0".encode() if MARKER in data else b"stream: OK\0")

        self._server = _Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="clamd", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
