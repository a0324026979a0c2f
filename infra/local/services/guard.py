"""A tiny process that outlives its starter just long enough to stop what the starter had running.

Its standard input is a pipe that only the starter holds open. When the starter ends, even by SIGKILL, the pipe
closes and the guard stops every program that it watches. PR_SET_PDEATHSIG would be shorter, but it is lost when
credentials change (PostgreSQL under `unshare --user`), it fires when only a thread ends, and it exists on Linux only.
The guard needs only the standard library: `python -S -m infra.local.services.guard`.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from infra.local.liveness import is_running

REPOSITORY = Path(__file__).parents[3]
GRACE_SECONDS = 5.0


class Guard:
    """Stops the programs it watches when this process dies, however it dies."""

    def __init__(self, *, keep_open: Sequence[int] = ()) -> None:
        """Start the guard; it inherits `keep_open`, so a lock on such a descriptor lasts until the guard ends."""
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-E", "-S", "-m", __spec__.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a SIGKILL to our process group must not reach it
            pass_fds=tuple(keep_open),
            cwd=REPOSITORY,
        )

    def watch(self, pid: int, stop_signal: signal.Signals) -> None:
        """Stop the process group led by `pid` with `stop_signal` when this process dies."""
        self._tell(f"+{pid} {int(stop_signal)}")

    def forget(self, pid: int) -> None:
        """Leave `pid` alone from now on."""
        self._tell(f"-{pid}")

    def close(self) -> None:
        """End the guard; it stops the programs that it still watches."""
        with self._lock, contextlib.suppress(OSError):
            self._pipe().close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):  # the guard was killed, so it can watch nothing
            self._pipe().write(f"{line}\n".encode())
            self._pipe().flush()

    def _pipe(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin


def stop_group(pid: int, stop_signal: int, grace: float = GRACE_SECONDS) -> None:
    """Signal the process group led by `pid`, wait up to `grace` seconds for its leader, then kill what is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, stop_signal)
    deadline = time.monotonic() + grace
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def guard_until_end_of_input() -> None:
    """Read which programs to watch, one in each line; at the end of input stop them, the youngest first."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    watched: dict[int, int] = {}
    for line in sys.stdin:
        pid, _, stop_signal = line[1:].partition(" ")
        if line.startswith("+"):
            watched[int(pid)] = int(stop_signal)
        else:
            watched.pop(int(pid), None)
    for number, stop_signal_number in reversed(watched.items()):
        stop_group(number, stop_signal_number)


if __name__ == "__main__":
    guard_until_end_of_input()
