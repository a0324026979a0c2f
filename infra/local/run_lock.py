# ruff: noqa: UP006, UP032, UP035, UP045 -- runs on any Python 3.6 or later, before the right Python is there
"""Only one environment runs in a folder: it holds a lock that the kernel releases when its last process ends."""

import fcntl
import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Dict, Optional

from infra.local.liveness import is_running

CLEANUP_SECONDS = 20.0
STOP_SECONDS = 20.0


class AlreadyRunning(Exception):
    """Another environment runs in this folder."""


class RunLock:
    """The lock of a folder; the guard shares it, so it lasts until no process of a run is left."""

    def __init__(self, path: Path, descriptor: Optional[int] = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.descriptor = os.open(str(path), os.O_RDWR | os.O_CREAT, 0o600) if descriptor is None else descriptor

    @classmethod
    def adopt(cls, path: Path, descriptor: int) -> "RunLock":
        """Return the lock that the previous program took in this same process."""
        os.set_inheritable(descriptor, False)  # noqa: FBT003 -- positional only
        return cls(path, descriptor)

    def take(self, address: str) -> None:
        """Take the lock or raise AlreadyRunning; wait while the guard still clears away a killed run."""
        deadline = time.monotonic() + CLEANUP_SECONDS
        while not self._try():
            if self.owner_runs() or time.monotonic() > deadline:
                raise AlreadyRunning(
                    "Boxoffice is already running in this folder: {address} (process {pid}). "
                    "`make stop` stops it.".format(**self.owner())
                )
            time.sleep(0.05)
        self.describe(address)

    def describe(self, address: str) -> None:
        """Write down which process holds the lock and its address."""
        text = json.dumps({"pid": os.getpid(), "address": address}).encode()
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, text, 0)

    def owner(self) -> Dict[str, Any]:
        """What the holder of the lock has written down."""
        try:
            found: Dict[str, Any] = json.loads(os.pread(self.descriptor, 4096, 0).decode())
        except ValueError:
            return {"pid": 0, "address": "starting"}
        return found

    def owner_runs(self) -> bool:
        """Whether the process that took the lock is alive."""
        pid = self.owner()["pid"]
        return pid == 0 or is_running(pid)

    def hand_over(self) -> str:
        """Keep the lock when this process execs another program; return what that program needs to adopt the lock."""
        os.set_inheritable(self.descriptor, True)  # noqa: FBT003 -- positional only
        return str(self.descriptor)

    def stop_owner(self) -> Optional[int]:
        """Stop the running environment and wait until nothing of it is left; return its process id, if one ran."""
        if self._try():
            self.close()
            return None
        pid = int(self.owner()["pid"])
        if pid and is_running(pid):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while not self._try():
            if time.monotonic() > deadline:
                raise TimeoutError("process {} has not stopped within {:g} s".format(pid, STOP_SECONDS))
            time.sleep(0.05)
        self.close()
        return pid

    def close(self) -> None:
        """Release this process's hold on the lock."""
        os.close(self.descriptor)

    def _try(self) -> bool:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
