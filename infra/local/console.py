"""What the person at the terminal sees."""

import contextlib
import sys
import time
from collections.abc import Iterator


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
    """Print the step and the seconds it took, once it has succeeded."""
    started = time.monotonic()
    yield
    say(f"  {name:<34} {time.monotonic() - started:6.1f} s")
