import time
from collections.abc import Callable

PATIENCE_SECONDS = 60.0
"""How long a test waits for anything before it fails: for a state, a mail, an answer, a process that ends.

The system does not promise this time. A machine may be slow and busy, and if all is well, a test does not wait.
"""


def poll[T](until: Callable[[], T], *, pause_at_most: float = 0.25) -> T:
    """Call `until` until its answer is truthy and return that; an AssertionError in it means "not yet".

    The pauses between two calls grow up to `pause_at_most` seconds, so that a long wait costs little.
    After `PATIENCE_SECONDS` the last AssertionError is raised, or one that shows the last answer.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = 0.01
    while True:
        failure: AssertionError
        try:
            if answer := until():
                return answer
            failure = AssertionError(f"not within {PATIENCE_SECONDS:g} s; last answer: {answer!r}")
        except AssertionError as error:
            failure = error
        if time.monotonic() > deadline:
            raise failure
        time.sleep(pause)
        pause = min(1.5 * pause, pause_at_most)
