"""What the person at the terminal sees."""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator


def say(line: str = "") -> None:
    """Print a line at once; a terminal that has gone away is no reason to stop."""
    with contextlib.suppress(OSError, ValueError):
        try:
            print(line, flush=True)
        except UnicodeEncodeError:
            print(line.encode("ascii", "replace").decode(), flush=True)


def complain(line: str) -> None:
    """Print a line about a fault."""
    with contextlib.suppress(OSError, ValueError, UnicodeEncodeError):
        print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def timed_step(name: str) -> Iterator[None]:
    """Print the step and its seconds, once it has succeeded."""
    started = time.monotonic()
    yield
    say(f"  {name:<34} {time.monotonic() - started:6.1f} s")


def terminal_watch() -> Callable[[], bool]:
    """Return a check of whether the terminal that we were started from has been closed; under nohup it is always False.

    A check is needed because the kernel signals only the session's leader. If that is `make`, as under `ssh -t`, it
    does not pass the signal on.
    """
    terminal = select.poll()
    with contextlib.suppress(OSError):
        os.tcgetpgrp(0)  # fails unless standard input is our controlling terminal
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            terminal.register(0, 0)  # poll always reports a hang-up
    return lambda: bool(terminal.poll(0))
