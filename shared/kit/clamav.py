"""A client of clamd, the ClamAV daemon: its INSTREAM command over TCP (clamd(8)).

These few lines are our own because the client libraries on PyPI are untyped, and unmaintained or async.
"""

import socket
import struct
from contextlib import suppress

_CONNECT_SECONDS = 3.0
_SCAN_SECONDS = 20.0  # the longest wait for a part of its answer; a scan of 5 MB takes well under one second
_CHUNK_BYTES = 64 * 1024
_LONGEST_ANSWER = 4096


class ScannerUnavailable(Exception):
    """The scanner can't be reached, or gave no verdict; a later try may succeed."""


def find_malware(data: bytes, *, host: str, port: int) -> str | None:
    """Return the name of the malware that clamd finds in `data`, or None when it finds none.

    Raises `ScannerUnavailable` for everything else that can happen: silence is never a verdict.
    """
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS) as connection:
            connection.settimeout(_SCAN_SECONDS)
            with suppress(ConnectionError):  # clamd may have said why before it closed the connection
                _send(connection, data)
            answer = _receive(connection)
    except OSError as error:
        raise ScannerUnavailable(f"clamd can't be reached ({type(error).__name__})") from error
    return _verdict(answer)


def _send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(b"zINSTREAM\0")
    for start in range(0, len(data), _CHUNK_BYTES):
        chunk = data[start : start + _CHUNK_BYTES]
        connection.sendall(struct.pack("!I", len(chunk)) + chunk)
    connection.sendall(struct.pack("!I", 0))


def _receive(connection: socket.socket) -> bytes:
    """Read up to the NUL that ends an answer; raises `ScannerUnavailable` when the answer is cut off before it."""
    answer = b""
    while not answer.endswith(b"\0"):
        part = connection.recv(_LONGEST_ANSWER)
        if not part or len(answer) > _LONGEST_ANSWER:
            raise ScannerUnavailable("clamd gave no whole answer")
        answer += part
    return answer.rstrip(b"\0")


def _verdict(answer: bytes) -> str | None:
    text = answer.decode("utf-8", "replace")
    if text == "stream: OK":
        return None
    if text.startswith("stream: ") and text.endswith(" FOUND"):
        return text.removeprefix("stream: ").removesuffix(" FOUND")
    raise ScannerUnavailable(f"clamd gave no verdict: {text[:100]!r}")
