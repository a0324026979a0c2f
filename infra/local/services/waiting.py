import time
from collections.abc import Callable


def wait_until[T](look: Callable[[], T | None], *, timeout: float, what: str, every: float = 0.02) -> T:
    """Return the first truthy answer of `look`; raise TimeoutError naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(every)
