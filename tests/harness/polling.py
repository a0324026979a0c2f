import time
from collections.abc import Callable


def poll[T](until: Callable[[], T], timeout: float = 10.0, *, every: float = 0.05) -> T:
    """Call `until` until its answer is truthy and return that; an AssertionError in it means "not yet".

    After `timeout` seconds the last AssertionError is raised, or one that shows the last answer.
    """
    deadline = time.monotonic() + timeout
    while True:
        failure: AssertionError
        try:
            if answer := until():
                return answer
            failure = AssertionError(f"not within {timeout:g} s; last answer: {answer!r}")
        except AssertionError as error:
            failure = error
        if time.monotonic() > deadline:
            raise failure
        time.sleep(every)
