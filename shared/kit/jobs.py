"""What runs in the background: each run is timed, tied to a trace, and fails without telling anything personal."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from shared.kit.metrics import JOB_SECONDS
from shared.kit.tracing import working_on

log = logging.getLogger(__name__)


class JobFailed(Exception):
    """A background function failed; the log says more."""


@contextmanager
def job(function: str) -> Iterator[None]:
    """Run a background function's body.

    What it raises is logged, and raised as `JobFailed`: the host writes down what a function raises, word by word, and
    a mail server's refusal names the recipient.
    """
    started = time.perf_counter()
    outcome = "failed"
    with working_on(function):
        try:
            yield
            outcome = "done"
        except Exception as error:
            log.exception("%s failed", function)
            raise JobFailed(f"{function}: {type(error).__name__}") from None
        finally:
            JOB_SECONDS.labels(function, outcome).observe(time.perf_counter() - started)
