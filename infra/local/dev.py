"""`python -m infra.local dev`: run the whole system from its start to Ctrl-C."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from infra.local.console import complain, say
from infra.local.home import REPOSITORY, Home
from infra.local.run_lock import AlreadyRunning, RunLock
from infra.local.services.process import ServiceFailed
from infra.local.supervisor import LocalSystem
from infra.local.welcome import welcome

DEFAULT_PORT = 7071


class StopRequested(BaseException):
    """Somebody pressed Ctrl-C or sent SIGTERM; raised in the main thread wherever it waits."""


def run_dev() -> int:
    """Run the whole system until Ctrl-C or SIGTERM; returns the exit code."""
    home = Home.of_this_checkout()
    port = int(os.environ.get("PORT") or DEFAULT_PORT)
    try:
        lock = take_lock(home, port)
    except AlreadyRunning as error:
        complain(str(error))
        return 1
    app = Path(os.environ.get("BOXOFFICE_APP") or REPOSITORY).absolute()
    _on_stop_signals(_request_stop)
    system: LocalSystem | None = None
    try:
        system = LocalSystem(home, lock, port=port, app=app)
        addresses = system.start()
        say(welcome(addresses, home, seconds=_seconds_since_start()))
        system.watch()
    except StopRequested:
        return 0
    except ServiceFailed as error:
        complain(f"\n{error}\n\nNot started. The logs are in {home.logs}.")
        return 1
    finally:
        _on_stop_signals(_already_stopping)
        if system is not None:
            say("Stopping …")
            system.stop()
            say("Stopped.")
    return 0


def take_lock(home: Home, port: int) -> RunLock:
    """The folder's lock, taken now or by the set-up that ran before in this process; raises AlreadyRunning."""
    path = home.run / "lock"
    if descriptor := os.environ.pop("BOXOFFICE_LOCK_FD", None):
        return RunLock.adopt(path, int(descriptor))
    lock = RunLock(path)
    lock.take(f"http://localhost:{port}")
    return lock


def _on_stop_signals(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Under nohup SIGHUP stays ignored; Shells make background jobs ignore SIGINT, but here it must stop the system.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _request_stop(_number: int, _frame: FrameType | None) -> None:
    _on_stop_signals(_already_stopping)
    raise StopRequested


def _already_stopping(_number: int, _frame: FrameType | None) -> None:
    """Stopping takes seconds at most; a second Ctrl-C must not cut it short."""


def _seconds_since_start() -> float | None:
    started = os.environ.get("BOXOFFICE_STARTED")
    return time.time() - float(started) if started else None
